// The entries of a store: how they are declared, and how others take their place while the server runs.
#include <algorithm>
#include <ctime>

#include "base/memory.h"
#include "base/utf8.h"
#include "server/model_store.h"

namespace quern {
ModelStore::EntryPtr ModelStore::make_entry(ModelEntry config) {
    const std::filesystem::path file(config.options.model_path);
    const std::string stem = repair_utf8(file.extension() == ".gguf" ? file.stem().string() : file.filename().string());
    auto entry = std::make_shared<Entry>();
    entry->id = config.alias.empty() ? stem : config.alias;
    entry->names = {entry->id, config.options.model_path, file.filename().string(), stem};
    entry->created = std::time(nullptr);
    std::error_code error;
    const auto time = std::filesystem::last_write_time(file, error);
    if (!error) entry->file_time = time;
    entry->config = std::move(config);
    return entry;
}

// The same twice: shared weights, and slots for both.
ModelStore::Entry& ModelStore::add_entry(std::vector<EntryPtr>& entries, ModelEntry config) {
    EntryPtr entry = make_entry(std::move(config));
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const EntryPtr& other) { return other->id == entry->id; });
    if (found == entries.end()) return *entries.emplace_back(std::move(entry));
    Entry& other = **found;
    if (other.config.options.model_path != entry->config.options.model_path)
        throw InvalidInput(concat("two models are called ", entry->id, ": give them different aliases"), "model_alias");
    if (other.config.options.adapters != entry->config.options.adapters)
        throw InvalidInput(concat("two models with different adapters are called ", entry->id, ": give them different aliases"),
                           "model_alias");
    other.config.options.n_sequences += entry->config.options.n_sequences;
    other.config.pin |= entry->config.pin;
    other.config.preload |= entry->config.preload;
    return other;
}

void ModelStore::declare(ModelEntry config) {
    const std::lock_guard lock(mutex_);
    add_entry(entries_, std::move(config));
}

std::chrono::milliseconds ModelStore::usual_lifetime(const ModelEntry& config) {
    return config.ttl.count() > 0 ? std::chrono::milliseconds(config.ttl) : forever;
}

std::optional<ModelStore::Clock::time_point> ModelStore::expiry_of(const Entry& entry) {
    return entry.lifetime == forever ? std::nullopt : std::optional(entry.last_used + entry.lifetime);
}

bool ModelStore::drop_left_over(std::unique_lock<std::mutex>& lock) {
    if (left_over_.empty()) return false;
    auto models = std::exchange(left_over_, {});
    lock.unlock();
    models.clear();  // ends the engines' threads
    return_freed_memory();
    lock.lock();
    return true;
}

/// A model that was loaded for the one entry is what the other one asks for.
bool ModelStore::is_same_load(const Entry& a, const Entry& b) {
    return a.config.options == b.config.options && a.config.template_variables == b.config.template_variables && a.file_time == b.file_time;
}

ModelChanges ModelStore::replace(std::vector<ModelEntry> entries) {
    std::vector<EntryPtr> fresh;
    for (ModelEntry& each : entries) add_entry(fresh, std::move(each));
    ModelChanges changes;
    {
        const std::lock_guard lock(mutex_);
        for (EntryPtr& entry : fresh) {
            const auto old = std::find_if(entries_.begin(), entries_.end(),
                                          [&](const EntryPtr& each) { return !each->is_retired && each->id == entry->id; });
            if (old == entries_.end()) {
                changes.added.push_back(entry->id);
                continue;
            }
            const bool is_same = is_same_load(**old, *entry);
            if (!is_same || (*old)->config != entry->config) changes.changed.push_back(entry->id);
            if (!is_same) continue;
            if ((*old)->config.ttl != entry->config.ttl) (*old)->lifetime = usual_lifetime(entry->config);
            (*old)->config = entry->config;
            entry = *old;
            entries_.erase(old);
        }
        for (const EntryPtr& old : entries_) {
            const bool has_heir = std::any_of(fresh.begin(), fresh.end(), [&](const EntryPtr& each) { return each->id == old->id; });
            if (!old->is_retired && !has_heir) changes.removed.push_back(old->id);
            old->is_retired = true;
            old->is_preloading = false;
            old->config.pin = false;
            fresh.push_back(old);
        }
        entries_ = std::move(fresh);
        want_preloaded();
    }
    changed_.notify_all();
    return changes;
}

void ModelStore::want_preloaded() {
    for (const EntryPtr& entry : entries_) {
        if (entry->is_retired || (entry != entries_.front() && !entry->config.preload) || is_usable(*entry)) continue;
        entry->is_preloading = true;
        want(*entry);
    }
}

}  // namespace quern
