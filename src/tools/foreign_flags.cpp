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
    const char* why = "it is not needed here";  ///< it has no effect
};

constexpr const char* no_binding = "threads are left to the system";
constexpr const char* one_pool = "the same threads compute prompts and answers, a step as a whole";
constexpr const char* no_gpu = "there is no GPU support yet";
constexpr const char* always_flash = "attention is always computed without a matrix of scores";
constexpr const char* always_mapped = "weights are mapped from the file as they are";
constexpr const char* always_batched = "requests always run beside each other in one cache";
constexpr const char* own_cache = "the cache is kept in pages that the engine looks after itself";
constexpr const char* own_log = "it changes nothing but what is printed";
constexpr const char* no_download = "quern does not download models: fetch the file and give it with -m";
constexpr const char* no_grammar = "quern does not constrain its output by a grammar or schema here";
constexpr const char* no_lora = "this command does not apply LoRA adapters";
constexpr const char* no_control_vector = "quern does not apply control vectors";
constexpr const char* no_media = "quern does not read images or sound";
constexpr const char* no_sampler = "this command does not take this sampler";
constexpr const char* no_rope = "this command takes RoPE's parameters from the model file";
constexpr const char* no_override = "this command does not change the model file's metadata";
constexpr const char* no_remote = "quern does not run on remote devices";
constexpr const char* no_slicing = "quern does not extend or shift the context";

constexpr ForeignFlag foreign_flags[] = {
    {"--mlock", Takes::nothing},
    {"--keep", Takes::one, nullptr, nullptr, own_cache},
    {"--log-file", Takes::one},
    {"--penalize-nl", Takes::nothing},
    {"--no-penalize-nl", Takes::nothing},
    {"--list-devices", Takes::nothing, nullptr, nullptr, no_gpu},
    {"--mmap", Takes::maybe, nullptr, nullptr, always_mapped},
    {"--no-mmap", Takes::nothing, nullptr, nullptr, always_mapped},
    {"--numa", Takes::one, nullptr, nullptr, no_binding},
    {"--threads-batch", Takes::one, nullptr, nullptr, one_pool},
    {"--ubatch-size", Takes::one, nullptr, nullptr, one_pool},
    {"--flash-attn", Takes::maybe, nullptr, nullptr, always_flash},
    {"--no-flash-attn", Takes::nothing, nullptr, nullptr, always_flash},
    {"--split-mode", Takes::one, nullptr, nullptr, no_gpu},
    {"--tensor-split", Takes::one, nullptr, nullptr, no_gpu},
    {"--main-gpu", Takes::one, nullptr, nullptr, no_gpu},
    {"--device", Takes::one, nullptr, nullptr, no_gpu},
    {"--no-kv-offload", Takes::maybe, nullptr, nullptr, no_gpu},
    {"--override-tensor", Takes::one, nullptr, nullptr, no_gpu},
    {"--cpu-moe", Takes::nothing, nullptr, nullptr, no_gpu},
    {"--n-cpu-moe", Takes::one, nullptr, nullptr, no_gpu},
    {"--no-op-offload", Takes::nothing, nullptr, nullptr, no_gpu},
    {"--no-repack", Takes::nothing, nullptr, nullptr, always_mapped},
    {"--fit", Takes::maybe, nullptr, nullptr, no_gpu},
    {"--offline", Takes::nothing},
    {"--parallel", Takes::one, nullptr, nullptr, always_batched},
    {"--sequences", Takes::one, nullptr, nullptr, always_batched},
    {"--cont-batching", Takes::nothing, nullptr, nullptr, always_batched},
    {"--no-cont-batching", Takes::nothing, nullptr, nullptr, always_batched},
    {"--cpu-mask", Takes::one, nullptr, nullptr, no_binding},
    {"--cpu-range", Takes::one, nullptr, nullptr, no_binding},
    {"--cpu-strict", Takes::one, nullptr, nullptr, no_binding},
    {"--prio", Takes::one, nullptr, nullptr, no_binding},
    {"--prio-batch", Takes::one, nullptr, nullptr, no_binding},
    {"--poll", Takes::one, nullptr, nullptr, no_binding},
    {"--poll-batch", Takes::one, nullptr, nullptr, no_binding},
    {"--warmup", Takes::nothing, nullptr, nullptr, own_log},
    {"--no-warmup", Takes::nothing, nullptr, nullptr, own_log},
    {"--perf", Takes::nothing, nullptr, nullptr, own_log},
    {"--no-perf", Takes::nothing, nullptr, nullptr, own_log},
    {"--check-tensors", Takes::nothing, nullptr, nullptr, always_mapped},
    {"--defrag-thold", Takes::one, nullptr, nullptr, own_cache},
    {"--dump-kv-cache", Takes::nothing, nullptr, nullptr, own_cache},
    {"--kv-unified", Takes::nothing, nullptr, nullptr, always_batched},
    {"--cache-ram", Takes::one, nullptr, nullptr, own_cache},
    {"--ctx-checkpoints", Takes::one, nullptr, nullptr, own_cache},
    {"--cache-reuse", Takes::one, nullptr, nullptr, own_cache},
    {"--swa-full", Takes::nothing, nullptr, nullptr, own_cache},
    {"--cache-type-k", Takes::one},
    {"--cache-type-v", Takes::one},
    {"--prompt-cache", Takes::one, nullptr, nullptr, own_cache},
    {"--prompt-cache-all", Takes::nothing, nullptr, nullptr, own_cache},
    {"--prompt-cache-ro", Takes::nothing, nullptr, nullptr, own_cache},
    {"--model-draft", Takes::one},
    {"--draft", Takes::one},
    {"--draft-max", Takes::one},
    {"--draft-min", Takes::one},
    {"--draft-p-min", Takes::one},
    {"--ctx-size-draft", Takes::one},
    {"--n-gpu-layers-draft", Takes::one, nullptr, nullptr, no_gpu},
    {"--threads-draft", Takes::one, nullptr, nullptr, one_pool},
    {"--threads-batch-draft", Takes::one, nullptr, nullptr, one_pool},
    {"--lookup-cache-static", Takes::one},
    {"--lookup-cache-dynamic", Takes::one},
    {"--log-colors", Takes::maybe, nullptr, nullptr, own_log},
    {"--log-prefix", Takes::nothing, nullptr, nullptr, own_log},
    {"--log-timestamps", Takes::nothing, nullptr, nullptr, own_log},
    {"--verbose-prompt", Takes::nothing, nullptr, nullptr, own_log},
    {"--print-token-count", Takes::one, nullptr, nullptr, own_log},
    {"--multiline-input", Takes::nothing},
    {"--jinja", Takes::nothing},
    {"--no-jinja", Takes::nothing, "quern renders the model's own template; --chat-format names another"},
    {"--threads-http", Takes::one, nullptr, nullptr, no_binding},
    {"--reranking", Takes::nothing},
    {"--rerank", Takes::nothing},
    {"--metrics", Takes::nothing},
    {"--slots", Takes::nothing},
    {"--no-slots", Takes::nothing, nullptr, nullptr, "a key protects /slots"},
    {"--props", Takes::nothing},
    {"--webui", Takes::nothing, nullptr, nullptr, "there is no page to chat on"},
    {"--no-webui", Takes::nothing},
    {"--slot-save-path", Takes::one, "quern does not write its cache to files"},
    {"--slot-prompt-similarity", Takes::one, nullptr, nullptr, own_cache},
    {"--sse-ping-interval", Takes::one, nullptr, nullptr, "a comment comes every 10 seconds of silence"},
    {"--pooling", Takes::one, nullptr, nullptr, "the model file names its own"},
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
        if (flag.refusal == nullptr) without_effect += concat(without_effect.empty() ? "" : "; ", flag.name, " (", flag.why, ")");
    }
    return without_effect.empty() ? "" : "note: no effect here: " + without_effect;
}

std::optional<ForeignKey> find_foreign_key(std::string_view key) {
    std::string name = concat("--", key);
    std::replace(name.begin(), name.end(), '_', '-');
    for (const ForeignFlag& flag : foreign_flags)
        if (name == flag.name) return ForeignKey{.why = flag.refusal ? flag.refusal : flag.why, .is_refused = flag.refusal != nullptr};
    return std::nullopt;
}

}  // namespace quern
