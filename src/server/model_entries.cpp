// The entries of a store: how they are declared, and how others take their place while the server runs.
#include <algorithm>

#include "base/memory.h"
#include "base/utf8.h"
#include "server/clock.h"
#include "server/model_store.h"

namespace quern {
namespace {

std::string name_of_file(const std::string& path) {
    const std::filesystem::path file(path);
    return repair_utf8(file.extension() == ".gguf" ? file.stem().string() : file.filename().string());
}

}  // namespace

std::string model_id(const ModelEntry& entry) { return entry.alias.empty() ? name_of_file(entry.options.model_path) : entry.alias; }

bool is_model_file_there(const std::string& path) {
    std::error_code error;
    return std::filesystem::exists(path, error);
}

ModelStore::EntryPtr ModelStore::make_entry(ModelEntry config) {
    const std::string& path = config.options.model_path;
    auto entry = std::make_shared<Entry>();
    entry->id = model_id(config);
    entry->names = {entry->id, path, std::filesystem::path(path).filename().string(), name_of_file(path)};
    entry->created = seconds_now();
    entry->file_times = file_times_of(config.options);
    if (config.is_missing) {
        entry->state = ModelState::failed;
        entry->error = concat("there is no file ", path);
    }
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

/// Of the model, its draft model and its adapters. Nothing for a file that is not there.
ModelStore::FileTimes ModelStore::file_times_of(const EngineOptions& options) {
    FileTimes times;
    const auto add = [&times](const std::string& path) {
        std::error_code error;
        const auto time = std::filesystem::last_write_time(path, error);
        times.push_back(error ? std::nullopt : std::optional(time));
    };
    add(options.model_path);
    add(options.draft_model_path);
    for (const AdapterSource& adapter : options.adapters) add(adapter.path);
    return times;
}

/// A model that was loaded for the old entry is what the fresh one asks for. A file that has gone is no other file.
bool ModelStore::is_same_load(const Entry& old, const Entry& fresh) {
    if (old.config.options != fresh.config.options || old.config.template_variables != fresh.config.template_variables) return false;
    for (size_t i = 0; i < fresh.file_times.size(); ++i)
        if (fresh.file_times[i] && fresh.file_times[i] != old.file_times[i]) return false;
    return true;
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

std::vector<ModelStore::EntryPtr> ModelStore::entries_to_preload() const {
    std::vector<EntryPtr> chosen;
    bool is_first = true;
    for (const EntryPtr& entry : entries_) {
        if (entry->is_retired || entry->config.is_missing) continue;
        if (std::exchange(is_first, false) || entry->config.preload) chosen.push_back(entry);
    }
    return chosen;
}

void ModelStore::want_preloaded() {
    for (const EntryPtr& entry : entries_to_preload()) {
        if (is_usable(*entry)) continue;
        entry->is_preloading = true;
        want(*entry);
    }
}

}  // namespace quern
