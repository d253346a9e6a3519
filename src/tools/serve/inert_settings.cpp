// Settings of llama-cpp-python's server that have no effect here, and those that quern cannot honour.
#include "tools/serve/settings.h"

namespace quern {
namespace {

Setting inert(const char* key, const char* flags, const char* why, const char* neutral) {
    return {.key = key,
            .flags = flags,
            .description = "",
            .type_name = "VALUE",
            .kind = Setting::Kind::any,
            .group = "Without effect",
            .no_effect = why,
            .neutral = neutral};
}

Setting refused(const char* key, const char* flags, const char* why, const char* neutral) {
    Setting row = inert(key, flags, nullptr, neutral);
    row.group = "Not supported";
    row.refusal = why;
    return row;
}

constexpr const char* any_switch = "[true, false, 0, 1]";

}  // namespace

std::vector<Setting> inert_settings() {
    constexpr const char *no_gpu = "there is no GPU support yet",
                         *no_download = "quern does not download models: fetch the file and give its path as model";
    std::vector<Setting> rows{
        inert("interrupt_requests", "", "requests run beside each other, and none interrupts another", "[false]"),
        inert("disable_ping_events", "", "silent streams always get a comment every 10 seconds, which keeps proxies from closing them",
              "[false]"),
    };
    for (Setting& row : rows) row.is_server = true;
    Setting verbose = inert("verbose", "", "the log is the server's: verbose at the top of the file, or -v", any_switch);
    verbose.has_log_flag = true;
    rows.insert(rows.end(),
                {
                    inert("n_ubatch", "--ubatch-size", "a step is computed as a whole; n_batch is its size", "[]"),
                    inert("n_threads_batch", "--threads-batch", "prompts are computed by the same threads as answers", "[-1]"),
                    inert("split_mode", "--split-mode", no_gpu, "[0, 1]"),
                    inert("main_gpu", "--main-gpu", no_gpu, "[0]"),
                    inert("tensor_split", "--tensor-split", no_gpu, "[[]]"),
                    inert("offload_kqv", "", no_gpu, any_switch),
                    inert("mul_mat_q", "", "it has none in llama.cpp either", any_switch),
                    inert("flash_attn", "--flash-attn", "attention is always computed without a matrix of scores",
                          "[true, false, 0, 1, \"on\", \"off\", \"auto\"]"),
                    inert("logits_all", "", "log-probabilities of any token can be asked for", any_switch),
                    inert("use_mmap", "--mmap", "weights are always mapped from the file", "[true, 1]"),
                    inert("numa", "--numa", "threads are not bound to the nodes of the machine", "[false, 0]"),
                    inert("cache_type", "", "cached beginnings of prompts are kept in memory", "[\"ram\"]"),
                    inert("lora_base", "", "adapters are applied to the model itself, whatever its format", "[\"\"]"),
                    verbose,
                    refused("vocab_only", "", "a server needs the weights", "[false]"),
                    refused("rpc_servers", "--rpc", "quern does not run on remote devices", "[\"\"]"),
                    refused("clip_model_path", "--mmproj", "quern does not read images", "[\"\"]"),
                    refused("hf_model_repo_id", "--hf-repo", no_download, "[\"\"]"),
                    refused("hf_pretrained_model_name_or_path", "",
                            "quern does not download tokenizers: the model file has its own; hf_tokenizer_config_path takes a chat "
                            "template from a file",
                            "[\"\"]"),
                });
    return rows;
}

}  // namespace quern
