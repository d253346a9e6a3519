// The model families that quern knows: one line each.
#include "base/error.h"
#include "models/deepseek2.h"
#include "models/gemma.h"
#include "models/gemma2.h"
#include "models/gemma3.h"
#include "models/gpt2.h"
#include "models/gpt_oss.h"
#include "models/llama.h"
#include "models/model.h"
#include "models/phi3.h"
#include "models/qwen.h"
#include "models/qwen2.h"
#include "models/qwen2moe.h"
#include "models/qwen3.h"
#include "models/qwen3moe.h"
#include "models/starcoder2.h"

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

// clang-format off
constexpr FamilyEntry families[] = {
    {"llama", make<Llama>},
    {"qwen2", make<Qwen2>},
    {"qwen3", make<Qwen3>},
    {"qwen", make<Qwen>},
    {"qwen2moe", make<Qwen2Moe>},
    {"qwen3moe", make<Qwen3Moe>},
    {"gemma", make<Gemma>},
    {"gemma2", make<Gemma2>},
    {"gemma3", make<Gemma3>},
    {"phi3", make<Phi3>},
    {"gpt2", make<Gpt2>},
    {"starcoder2", make<StarCoder2>},
    {"gpt-oss", make<GptOss>},
    {"deepseek2", make<DeepSeek2>},
};
// clang-format on

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
