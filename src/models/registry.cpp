// The model families that quern knows: one line each.
#include "base/error.h"
#include "base/printable.h"
#include "models/bert.h"
#include "models/checkpoint.h"
#include "models/deepseek2.h"
#include "models/gemma.h"
#include "models/gemma2.h"
#include "models/gemma3.h"
#include "models/gpt2.h"
#include "models/gpt_oss.h"
#include "models/llama.h"
#include "models/model.h"
#include "models/nomic_bert.h"
#include "models/phi3.h"
#include "models/qwen.h"
#include "models/qwen2.h"
#include "models/qwen2moe.h"
#include "models/qwen3.h"
#include "models/qwen3moe.h"
#include "models/smollm3.h"
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
    const CheckpointFormat* checkpoint = nullptr;  // nullptr: cannot be converted
};

// clang-format off
constexpr FamilyEntry families[] = {
    {"llama", make<Llama>, &Llama::checkpoint},
    {"smollm3", make<SmolLm3>, &SmolLm3::checkpoint},
    {"qwen2", make<Qwen2>, &Qwen2::checkpoint},
    {"qwen3", make<Qwen3>, &Qwen3::checkpoint},
    {"qwen", make<Qwen>, &Qwen::checkpoint},
    {"qwen2moe", make<Qwen2Moe>, &Qwen2Moe::checkpoint},
    {"qwen3moe", make<Qwen3Moe>, &Qwen3Moe::checkpoint},
    {"gemma", make<Gemma>, &Gemma::checkpoint},
    {"gemma2", make<Gemma2>, &Gemma2::checkpoint},
    {"gemma3", make<Gemma3>, &Gemma3::checkpoint},
    {"phi3", make<Phi3>, &Phi3::checkpoint},
    {"gpt2", make<Gpt2>, &Gpt2::checkpoint},
    {"starcoder2", make<StarCoder2>, &StarCoder2::checkpoint},
    {"gpt-oss", make<GptOss>, &GptOss::checkpoint},
    {"deepseek2", make<DeepSeek2>, &DeepSeek2::checkpoint},
    {"bert", make<Bert>, &Bert::checkpoint},
    {"nomic-bert", make<NomicBert>, &NomicBert::checkpoint},
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

std::string known_checkpoint_classes() {
    std::string known;
    for (const FamilyEntry& family : families)
        if (family.checkpoint)
            for (const std::string_view each : family.checkpoint->classes) known += concat(known.empty() ? "" : ", ", each);
    return known;
}

const CheckpointFormat* checkpoint_format_of(std::string_view architecture) {
    for (const FamilyEntry& family : families)
        if (family.architecture == architecture) return family.checkpoint;
    return nullptr;
}

CheckpointFamily find_checkpoint_family(const CheckpointConfig& config) {
    const std::vector<std::string> seen = config.strings({"architectures"});
    for (const std::string& name : seen)
        for (const FamilyEntry& family : families)
            if (family.checkpoint)
                for (const std::string_view each : family.checkpoint->classes)
                    if (each == name) return {family.architecture, family.checkpoint};
    std::string names;
    for (const std::string& name : seen) names += (names.empty() ? "" : ", ") + printable(name, 100);
    config.fail(concat(seen.empty() ? std::string("there is no entry `architectures`") : concat("unknown architecture ", names),
                       "; quern converts ", known_checkpoint_classes(), "; entries seen: ", config.entry_names()));
}

}  // namespace quern
