#include "engine/memory_table.h"

#include <cstdio>

#include "base/printable.h"

namespace quern {
namespace {

std::string line(const char* what, uint64_t bytes, const std::string& remark) {
    char text[64];
    std::snprintf(text, sizeof text, "  %-17s%10.1f MiB  ", what, static_cast<double>(bytes) / (1024.0 * 1024.0));
    return text + remark + "\n";
}

}  // namespace

std::string memory_table(const ModelInfo& info) {
    const std::string types = std::string(traits(info.cache_type_k).name) + "/" + traits(info.cache_type_v).name;
    const std::string windows = info.kv_window == 0
                                    ? std::string()
                                    : "; " + std::to_string(info.n_windowed_layers) + " of " + std::to_string(info.n_layers) +
                                          " layers keep the last " + std::to_string(info.kv_window) + " of each request";
    std::string table = printable(info.name) + ":\n" + line("weights", info.file_bytes, "mapped from the file") +
                        line("keys and values", info.kv_bytes,
                             types + ", " + std::to_string(info.n_kv_tokens) + " tokens in all; window " + std::to_string(info.n_ctx) +
                                 ", " + std::to_string(info.n_sequences) + " requests at once" + windows) +
                        line("work memory", info.workspace_bytes, "steps of " + std::to_string(info.n_batch) + " tokens");
    if (!info.draft_model.empty())
        table += line("draft: weights", info.draft_file_bytes, printable(info.draft_model)) +
                 line("draft: cache", info.draft_kv_bytes, "keys and values");
    return table;
}

std::string memory_table(const MemoryNeed& need, const EngineOptions& options) {
    const std::string window = "one window of " + std::to_string(need.n_ctx) + " tokens";
    return printable(options.model_path) + ":\n" +
           line("weights", need.weight_bytes, options.draft_model_path.empty() ? "" : "with those of the draft model") +
           line("keys and values", need.kv_bytes, window + ": the least") +
           line("", need.useful_kv_bytes, std::to_string(options.n_sequences) + " of them: the most that is useful") +
           line("work memory", need.workspace_bytes, "steps of " + std::to_string(options.n_batch) + " tokens");
}

}  // namespace quern
