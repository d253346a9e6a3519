// What the models of a store take of its memory budget.
#include <algorithm>

#include "server/model_store.h"

namespace quern {

bool ModelStore::is_resident(const std::string& path) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) {
        const EngineOptions& options = entry->config.options;
        return entry->model && (options.model_path == path || options.draft_model_path == path);
    });
}

// Weights are mapped: two models of one file share them.
uint64_t ModelStore::bytes_of(bool only_pinned) const {
    uint64_t n_bytes = 0;
    std::vector<std::string> files;
    const auto add_file = [&](const std::string& path, uint64_t bytes) {
        if (std::find(files.begin(), files.end(), path) != files.end()) return;
        files.push_back(path);
        n_bytes += bytes;
    };
    for (const auto& entry : entries_) {
        if (!entry->model || (only_pinned && !entry->config.pin)) continue;
        const ModelInfo& info = entry->model->engine->info();
        n_bytes += info.kv_bytes + info.draft_kv_bytes + info.workspace_bytes;
        add_file(entry->config.options.model_path, info.file_bytes);
        if (info.draft_file_bytes > 0) add_file(entry->config.options.draft_model_path, info.draft_file_bytes);
    }
    return n_bytes;
}

uint64_t ModelStore::missing_weights(const EngineOptions& options, const MemoryNeed& need) const {
    uint64_t n_bytes = 0;
    if (!is_resident(options.model_path)) n_bytes += need.weight_bytes - need.draft_weight_bytes;
    if (need.draft_weight_bytes > 0 && !is_resident(options.draft_model_path)) n_bytes += need.draft_weight_bytes;
    return n_bytes;
}

/// A cache as large as all requests can use, where the models that are not in memory can still come beside it: with a whole window each,
/// or, where that is too much, with their least. Else up to half of the room.
uint64_t ModelStore::share_of_cache(const Entry& entry, const MemoryNeed& need, uint64_t least) const {
    Entry::Needs others;
    for (const auto& other : entries_) {
        if (other.get() == &entry || other->model || other->is_retired || !other->needs) continue;
        others.least_bytes += other->needs->least_bytes;
        others.window_bytes += other->needs->window_bytes;
    }
    const uint64_t room = budget_bytes_ - used_now() - missing_weights(entry.config.options, need) - need.workspace_bytes;
    const bool all_have_windows = others.window_bytes + std::max(least, need.kv_bytes) <= room;
    const uint64_t reserved = all_have_windows ? others.window_bytes : others.least_bytes;
    const uint64_t most = reserved + least <= room ? room - reserved : room / 2;
    return std::max(least, std::min(most, need.useful_kv_bytes));
}

}  // namespace quern
