#include "tools/foreign_flags.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace quern {
namespace {

enum class Takes : uint8_t { nothing, one, maybe };

/// `refusal` is what to tell the user; nullptr marks a flag that changes speed or memory only. `neutral` is the value that asks for
/// nothing.
struct ForeignFlag {
    const char* name;
    Takes takes;
    const char* refusal = nullptr;
    const char* neutral = nullptr;
};

constexpr const char* no_download = "quern does not download models: fetch the file and give it with -m";
constexpr const char* no_grammar = "quern does not constrain its output by a grammar or schema here";
constexpr const char* no_lora = "this command does not apply LoRA adapters";
constexpr const char* no_control_vector = "quern does not apply control vectors";
constexpr const char* no_media = "quern does not read images or sound";
constexpr const char* no_sampler = "this command does not take this sampler";
constexpr const char* no_rope = "quern takes RoPE's parameters from the model file";
constexpr const char* no_override = "quern does not change the model file's metadata";
constexpr const char* no_remote = "quern does not run on remote devices";
constexpr const char* no_slicing = "quern does not extend or shift the context";

constexpr ForeignFlag foreign_flags[] = {
    {"--mlock", Takes::nothing},
    {"--keep", Takes::one},
    {"--log-file", Takes::one},
    {"--penalize-nl", Takes::nothing},
    {"--no-penalize-nl", Takes::nothing},
    {"--list-devices", Takes::nothing},
    {"--mmap", Takes::maybe},
    {"--no-mmap", Takes::nothing},
    {"--numa", Takes::one},
    {"--threads-batch", Takes::one},
    {"--ubatch-size", Takes::one},
    {"--flash-attn", Takes::maybe},
    {"--no-flash-attn", Takes::nothing},
    {"--split-mode", Takes::one},
    {"--tensor-split", Takes::one},
    {"--main-gpu", Takes::one},
    {"--device", Takes::one},
    {"--no-kv-offload", Takes::maybe},
    {"--override-tensor", Takes::one},
    {"--cpu-moe", Takes::nothing},
    {"--n-cpu-moe", Takes::one},
    {"--no-op-offload", Takes::nothing},
    {"--no-repack", Takes::nothing},
    {"--fit", Takes::maybe},
    {"--offline", Takes::nothing},
    {"--parallel", Takes::one},
    {"--sequences", Takes::one},
    {"--cont-batching", Takes::nothing},
    {"--no-cont-batching", Takes::nothing},
    {"--cpu-mask", Takes::one},
    {"--cpu-range", Takes::one},
    {"--cpu-strict", Takes::one},
    {"--prio", Takes::one},
    {"--prio-batch", Takes::one},
    {"--poll", Takes::one},
    {"--poll-batch", Takes::one},
    {"--warmup", Takes::nothing},
    {"--no-warmup", Takes::nothing},
    {"--perf", Takes::nothing},
    {"--no-perf", Takes::nothing},
    {"--check-tensors", Takes::nothing},
    {"--defrag-thold", Takes::one},
    {"--dump-kv-cache", Takes::nothing},
    {"--kv-unified", Takes::nothing},
    {"--cache-ram", Takes::one},
    {"--ctx-checkpoints", Takes::one},
    {"--cache-reuse", Takes::one},
    {"--swa-full", Takes::nothing},
    {"--cache-type-k", Takes::one},
    {"--cache-type-v", Takes::one},
    {"--prompt-cache", Takes::one},
    {"--prompt-cache-all", Takes::nothing},
    {"--prompt-cache-ro", Takes::nothing},
    {"--model-draft", Takes::one},
    {"--draft", Takes::one},
    {"--draft-max", Takes::one},
    {"--draft-min", Takes::one},
    {"--draft-p-min", Takes::one},
    {"--ctx-size-draft", Takes::one},
    {"--n-gpu-layers-draft", Takes::one},
    {"--threads-draft", Takes::one},
    {"--threads-batch-draft", Takes::one},
    {"--lookup-cache-static", Takes::one},
    {"--lookup-cache-dynamic", Takes::one},
    {"--log-colors", Takes::maybe},
    {"--log-prefix", Takes::nothing},
    {"--log-timestamps", Takes::nothing},
    {"--verbose-prompt", Takes::nothing},
    {"--print-token-count", Takes::one},
    {"--multiline-input", Takes::nothing},
    {"--jinja", Takes::nothing},
    {"--mirostat-lr", Takes::one},
    {"--mirostat-ent", Takes::one},
    {"--dry-base", Takes::one},
    {"--dry-allowed-length", Takes::one},
    {"--dry-penalty-last-n", Takes::one},
    {"--dry-sequence-breaker", Takes::one},
    {"--xtc-threshold", Takes::one},
    {"--dynatemp-exp", Takes::one},

    {"--hf-repo", Takes::one, no_download},
    {"--hf-file", Takes::one, no_download},
    {"--hf-token", Takes::one, no_download},
    {"--model-url", Takes::one, no_download},
    {"-j", Takes::one, no_grammar},
    {"--grammar", Takes::one, no_grammar},
    {"--grammar-file", Takes::one, no_grammar},
    {"--json-schema", Takes::one, no_grammar},
    {"--json-schema-file", Takes::one, no_grammar},
    {"--lora", Takes::one, no_lora},
    {"--lora-scaled", Takes::one, no_lora},
    {"--lora-base", Takes::one},
    {"--control-vector", Takes::one, no_control_vector},
    {"--control-vector-scaled", Takes::one, no_control_vector},
    {"--mmproj", Takes::one, no_media},
    {"--image", Takes::one, no_media},
    {"--audio", Takes::one, no_media},
    {"--mirostat", Takes::one, no_sampler, "0"},
    {"--typical", Takes::one, no_sampler, "1"},
    {"--tfs", Takes::one, no_sampler, "1"},
    {"--xtc-probability", Takes::one, no_sampler, "0"},
    {"--dry-multiplier", Takes::one, no_sampler, "0"},
    {"--dynatemp-range", Takes::one, no_sampler, "0"},
    {"--top-nsigma", Takes::one, no_sampler, "-1"},
    {"--samplers", Takes::one, no_sampler},
    {"--sampling-seq", Takes::one, "use --samplers"},
    {"-l", Takes::one, "quern takes a logit bias in HTTP requests only"},
    {"--logit-bias", Takes::one, "quern takes a logit bias in HTTP requests only"},
    {"--rope-scaling", Takes::one, no_rope},
    {"--rope-scale", Takes::one, no_rope},
    {"--rope-freq-base", Takes::one, no_rope, "0"},
    {"--rope-freq-scale", Takes::one, no_rope, "0"},
    {"--yarn-orig-ctx", Takes::one, no_rope, "0"},
    {"--yarn-ext-factor", Takes::one, no_rope, "-1"},
    {"--yarn-attn-factor", Takes::one, no_rope, "1"},
    {"--yarn-beta-slow", Takes::one, no_rope, "1"},
    {"--yarn-beta-fast", Takes::one, no_rope, "32"},
    {"--grp-attn-n", Takes::one, no_slicing, "1"},
    {"--grp-attn-w", Takes::one, no_slicing, "512"},
    {"--context-shift", Takes::nothing, no_slicing},
    {"--no-context-shift", Takes::nothing},
    {"--override-kv", Takes::one, no_override},
    {"--rpc", Takes::one, no_remote},
    {"--special", Takes::nothing, "quern never prints control tokens"},
    {"--instruct", Takes::nothing, "use --chat, with --chat-format where the model brings no template"},
    {"--chatml", Takes::nothing, "use --chat --chat-format chatml"},
    {"--chat-template-file", Takes::one, "quern takes the template from the model file, or a built-in one by --chat-format"},
    {"--binary-file", Takes::one, "use -f"},
};

bool asks_for_nothing(const ForeignFlag& flag, const std::vector<std::string>& values) {
    if (flag.neutral == nullptr || values.empty()) return false;
    try {
        return std::stod(values.back()) == std::stod(flag.neutral);
    } catch (const std::exception&) {
        return false;
    }
}

/// The option when it is one that declare_foreign_flags() added (only those have no group), else nullptr.
const CLI::Option* declared_here(const CLI::App& app, const ForeignFlag& flag) {
    const CLI::Option* option = app.get_option_no_throw(flag.name);
    return option != nullptr && option->get_group().empty() ? option : nullptr;
}

}  // namespace

void declare_foreign_flags(CLI::App& app) {
    for (const ForeignFlag& flag : foreign_flags) {
        if (app.get_option_no_throw(flag.name) != nullptr) continue;
        CLI::Option* option = app.add_option(flag.name)->group("");
        if (flag.takes == Takes::nothing) option->type_size(0)->expected(0);
        if (flag.takes == Takes::one) option->expected(1);
        if (flag.takes == Takes::maybe) option->expected(0, 1);
    }
}

std::string check_foreign_flags(const CLI::App& app) {
    std::string without_effect;
    for (const ForeignFlag& flag : foreign_flags) {
        const CLI::Option* option = declared_here(app, flag);
        if (option == nullptr || option->count() == 0) continue;
        if (flag.refusal != nullptr && !asks_for_nothing(flag, option->results()))
            throw InvalidInput(concat(flag.name, ": ", flag.refusal), flag.name);
        if (flag.refusal == nullptr) without_effect += (without_effect.empty() ? "" : ", ") + std::string(flag.name);
    }
    return without_effect.empty() ? "" : "note: no effect here: " + without_effect;
}

}  // namespace quern
