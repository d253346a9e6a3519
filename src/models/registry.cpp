// The model families that quern knows: one line each.
#include "base/error.h"
#include "models/llama.h"
#include "models/model.h"
#include "models/qwen2.h"

namespace quern {
namespace {

template <typename Family>
std::unique_ptr<const Model> make(const GgufFile& file) {
    return std::make_unique<Family>(file);
}

struct FamilyEntry {
    std::string_view architecture;  // general.architecture
    std::unique_ptr<const Model> (*load)(const GgufFile& file);
};

constexpr FamilyEntry families[] = {
    {"llama", make<Llama>},
    {"qwen2", make<Qwen2>},
};

}  // namespace

std::unique_ptr<const Model> load_model(const GgufFile& file) {
    const std::string_view architecture = file.metadata().require_string("general.architecture");
    std::string known;
    for (const FamilyEntry& family : families) {
        if (family.architecture == architecture) return family.load(file);
        known += concat(known.empty() ? "" : ", ", family.architecture);
    }
    throw ModelError(concat(file.path(), ": unknown architecture '", architecture, "'; quern knows ", known));
}

}  // namespace quern
