// The thread that loads models, makes room for them, and unloads those whose time is over.
#include <algorithm>
#include <iomanip>

#include "base/log.h"
#include "base/memory.h"
#include "server/http/errors.h"
#include "server/model_store.h"

namespace quern {
namespace {

// A window of the model's own may shrink to this before another model has to go.
constexpr int64_t least_window = 4096;

// Changes with the model and with the kernels, but not with the settings that it was loaded with. FNV-1a.
std::string fingerprint_of(const ModelInfo& info) {
    uint64_t hash = 14695981039346656037ull;
    for (const char c : concat(info.name, '|', info.architecture, '|', info.file_bytes, '|', info.n_params, '|', info.device)) {
        hash ^= static_cast<uint8_t>(c);
        hash *= 1099511628211ull;
    }
    std::ostringstream text;
    text << "fp_" << std::hex << std::setw(10) << std::setfill('0') << (hash & 0xffffffffff);
    return text.str();
}

std::shared_ptr<ServedModel> make_model(const std::string& id, const ModelEntry& config, std::unique_ptr<Engine> engine) {
    auto model = std::make_shared<ServedModel>();
    model->id = id;
    model->fingerprint = fingerprint_of(engine->info());
    model->template_variables = config.template_variables;
    model->engine = std::move(engine);
    return model;
}

std::exception_ptr cannot_load(const std::string& id, const Error& why) {
    return std::make_exception_ptr(ModelError(concat("the model ", id, " cannot be loaded: ", why.what())));
}

std::string describe(std::exception_ptr error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& known) {
        return known.what();
    } catch (...) {
        return "unknown error";
    }
}

ApiError missing_file(const std::string& path) {
    return ApiError(concat("the model cannot be loaded: there is no file ", path),
                    {.status = 503, .code = "model_unavailable", .param = "model", .headers = {{"x-should-retry", "false"}}});
}

uint64_t least_kv_bytes(const EngineOptions& options, const MemoryNeed& need) {
    if (options.n_ctx > 0 || need.n_ctx <= least_window) return need.kv_bytes;
    const uint64_t growing = need.kv_bytes - need.kv_window_bytes;
    return need.kv_window_bytes + growing / static_cast<uint64_t>(need.n_ctx) * static_cast<uint64_t>(least_window);
}

}  // namespace

void ModelStore::add(std::unique_ptr<Engine> engine, const std::string& path, const std::string& alias) {
    const EntryPtr entry = make_entry({.options = {.model_path = path}, .alias = alias});
    entry->model = make_model(entry->id, entry->config, std::move(engine));
    entry->state = ModelState::loaded;
    const std::lock_guard lock(mutex_);
    for (const EntryPtr& other : entries_)
        if (other->id == entry->id) throw InvalidInput(concat("there is a model called ", entry->id, " already"), "model_alias");
    entry->last_used = Clock::now();
    entry->lifetime = usual_lifetime(entry->config);
    entries_.push_back(entry);
}

bool ModelStore::preload() {
    std::vector<std::string> ids;
    {
        const std::lock_guard lock(mutex_);
        for (const EntryPtr& entry : entries_to_preload()) ids.push_back(entry->id);
    }
    const Waker wake = [this] {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
    };
    for (const std::string& id : ids) {
        const auto ticket = request(id, wake);
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return is_stopping_ || ticket->is_ready(); });
            if (is_stopping_) return false;
        }
        ticket->take();
    }
    return true;
}

void ModelStore::run() {
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
        try {
            work(lock);
        } catch (const std::exception& error) {  // there is no memory for a list: later
            if (!lock.owns_lock()) lock.lock();
            changed_.wait_for(lock, std::chrono::seconds(1));
        }
    }
    for (const EntryPtr& entry : std::vector(entries_))
        if (entry->state == ModelState::loading) settle(entry, std::make_exception_ptr(shutting_down()), lock);
    has_stopped_ = true;
    changed_.notify_all();
}

// One thing that is to be done, or a wait for it. The lock is released meanwhile: what was seen before may have changed.
void ModelStore::work(std::unique_lock<std::mutex>& lock) {
    if (drop_left_over(lock) || check_one(lock)) return;
    if (const EntryPtr wanted = next_to_load()) return load(wanted, lock);
    if (drop_broken_one(lock) || evict_retired_one(lock) || evict_expired_one(lock)) return;
    if (const auto expiry = next_expiry())
        changed_.wait_until(lock, *expiry);
    else
        changed_.wait(lock);
}

// One for which nobody waits any more is not loaded.
ModelStore::EntryPtr ModelStore::next_to_load() {
    EntryPtr first;
    for (const EntryPtr& entry : entries_) {
        if (entry->state != ModelState::loading) continue;
        if (!has_waiting(*entry))
            entry->state = ModelState::unloaded;
        else if (first == nullptr || entry->load_number < first->load_number)
            first = entry;
    }
    return first;
}

// The file is looked at before anything has to make room for it: one that cannot be loaded costs nobody else.
void ModelStore::load(const EntryPtr& wanted, std::unique_lock<std::mutex>& lock) {
    Entry& entry = *wanted;
    if (entry.model) drop_broken(wanted, lock);
    const ModelEntry config = entry.config;
    const bool is_background = entry.is_preloading;  // nobody else hears of an error
    std::shared_ptr<ServedModel> model;
    std::exception_ptr error;
    FileTimes file_times;
    try {
        lock.unlock();
        if (!loader_.has_file(config.options.model_path)) throw missing_file(config.options.model_path);
        file_times = file_times_of(config.options);
        const MemoryNeed need = loader_.need(config.options);
        lock.lock();
        if (config.options.kv_bytes == 0) learn_needs(entry, lock);
        const std::optional<EngineOptions> options = make_room(entry, need, lock);
        if (!options) return stop_draining(lock);
        stop_draining(lock);
        lock.unlock();
        model = make_model(entry.id, config, loader_.load(*options));
        log_info(concat("loaded ", entry.id));
    } catch (const InvalidInput& invalid) {  // the settings are the server's, not the client's
        error = cannot_load(entry.id, invalid);
    } catch (const ModelError& broken) {
        error = cannot_load(entry.id, broken);
    } catch (...) {
        error = std::current_exception();
    }
    if (lock.owns_lock()) lock.unlock();
    if (error) (is_background ? log_warning : log_info)(concat("cannot load ", entry.id, ": ", describe(error)));
    lock.lock();
    stop_draining(lock);
    if (model) {
        ++n_loads_;
        entry.file_times = std::move(file_times);
        entry.config.is_missing = false;
    }
    entry.lifetime = usual_lifetime(entry.config);
    entry.model = std::move(model);
    settle(wanted, error, lock);
}

// Tells everybody who waits. The lock is released meanwhile: a ticket wakes its connection.
void ModelStore::settle(const EntryPtr& entry, std::exception_ptr error, std::unique_lock<std::mutex>& lock) {
    entry->state = error ? ModelState::failed : ModelState::loaded;
    entry->error = error ? describe(error) : std::string();
    entry->last_used = Clock::now();
    entry->is_preloading = false;
    std::vector<std::pair<std::shared_ptr<ModelTicket>, ModelLease>> settled;
    for (const auto& waiting : std::exchange(entry->waiting, {}))
        if (auto ticket = waiting.lock()) settled.emplace_back(std::move(ticket), error ? nullptr : lease(entry));
    lock.unlock();
    for (auto& [ticket, granted] : settled) ticket->settle(std::move(granted), error);
    settled.clear();
    lock.lock();
}

// What the others that are not in memory would take. One that cannot be read takes nothing.
void ModelStore::learn_needs(const Entry& loading, std::unique_lock<std::mutex>& lock) {
    for (const EntryPtr& entry : std::vector(entries_)) {
        if (entry.get() == &loading || entry->is_retired || entry->needs) continue;
        const EngineOptions options = entry->config.options;
        Entry::Needs needs;
        lock.unlock();
        try {
            const MemoryNeed need = loader_.need(options);
            const uint64_t others = need.weight_bytes + need.workspace_bytes;
            needs = {.least_bytes = others + std::max(options.kv_bytes, least_kv_bytes(options, need)),
                     .window_bytes = others + std::max(options.kv_bytes, need.kv_bytes)};
        } catch (const std::exception& error) {
            log_debug(concat("what ", options.model_path, " takes is not known: ", error.what()));
        }
        lock.lock();
        entry->needs = needs;
    }
}

/// Of those that may go.
ModelStore::EntryPtr ModelStore::least_used(bool is_busy) {
    EntryPtr oldest;
    for (const EntryPtr& entry : entries_) {
        if (!entry->model || entry->config.pin || (entry->n_leases > 0) != is_busy) continue;
        if (oldest == nullptr || entry->last_used < oldest->last_used) oldest = entry;
    }
    return oldest;
}

/// The options to load with: as wanted, and with a share of the memory for the cache. Nothing: nobody waits for it any more. Some models
/// may still be draining then.
std::optional<EngineOptions> ModelStore::make_room(Entry& entry, const MemoryNeed& need, std::unique_lock<std::mutex>& lock) {
    EngineOptions options = entry.config.options;
    const uint64_t kv_bytes = std::max(options.kv_bytes, least_kv_bytes(options, need));
    const auto needed = [&] { return missing_weights(options, need) + need.workspace_bytes + kv_bytes; };
    const auto refuse = [&] {
        throw DeviceError(concat("the model ", entry.id, " needs ", needed() >> 20, " MiB, and ", used_now() >> 20, " of ",
                                 budget_bytes_ >> 20,
                                 " MiB are taken by models that may not be unloaded; raise --memory-budget or ask for a smaller window"));
    };
    if (bytes_of(true) + needed() > budget_bytes_) refuse();  // before others have made room in vain
    const auto is_draining = [](const auto& other) { return other->is_draining; };
    while (used_now() + needed() > budget_bytes_) {
        if (!has_waiting(entry)) {
            entry.state = ModelState::unloaded;
            return std::nullopt;
        }
        EntryPtr busy;
        if (const EntryPtr oldest = least_used(false)) {
            evict(oldest, lock);
        } else if (std::any_of(entries_.begin(), entries_.end(), is_draining)) {
            changed_.wait_for(lock, std::chrono::seconds(1));  // until it is idle; clients who go say nothing
        } else if ((busy = least_used(true)) != nullptr) {
            busy->is_draining = true;
            lock.unlock();
            log_info(concat(busy->id, " ends what it answers and is then unloaded: ", entry.id, " is wanted"));
            lock.lock();
        } else {
            refuse();
        }
        if (is_stopping_) throw shutting_down();
    }
    if (options.kv_bytes == 0) options.kv_bytes = share_of_cache(entry, need, kv_bytes);
    return options;
}

// Those that need not go after all answer who has waited.
void ModelStore::stop_draining(std::unique_lock<std::mutex>& lock) {
    for (const EntryPtr& entry : std::vector(entries_)) {
        if (!std::exchange(entry->is_draining, false) || !has_waiting(*entry)) continue;
        if (is_usable(*entry))
            settle(entry, nullptr, lock);
        else
            want(*entry);
    }
}

void ModelStore::evict(EntryPtr entry, std::unique_lock<std::mutex>& lock) {
    std::shared_ptr<ServedModel> model = std::exchange(entry->model, nullptr);
    entry->state = ModelState::unloaded;
    entry->is_draining = false;
    entry->damage.clear();
    if (has_waiting(*entry)) want(*entry);
    ++n_evictions_;
    lock.unlock();
    model.reset();  // ends the engine's thread
    return_freed_memory();
    log_info(concat("unloaded ", entry->id));
    lock.lock();
}

// Those who hold it keep it in memory until they have heard that it failed.
void ModelStore::drop_broken(EntryPtr entry, std::unique_lock<std::mutex>& lock) {
    std::shared_ptr<ServedModel> model = std::exchange(entry->model, nullptr);
    const std::string damage = std::exchange(entry->damage, std::string());
    entry->error = damage;
    if (entry->state == ModelState::loaded) entry->state = ModelState::failed;
    lock.unlock();
    model.reset();  // ends the engine's thread
    return_freed_memory();
    log_warning(concat("unloaded ", entry->id, ": ", damage));
    lock.lock();
}

/// Looks whether the file of a model that has been used is whole: its last user may have heard that it is not.
bool ModelStore::check_one(std::unique_lock<std::mutex>& lock) {
    for (const EntryPtr& each : entries_) {
        if (!std::exchange(each->is_to_be_checked, false) || !each->model || !each->damage.empty()) continue;
        const EntryPtr entry = each;
        const std::shared_ptr<ServedModel> model = entry->model;
        lock.unlock();
        std::string damage = model->engine->failure();
        lock.lock();
        if (entry->model == model) entry->damage = std::move(damage);
        return true;
    }
    return false;
}

bool ModelStore::drop_broken_one(std::unique_lock<std::mutex>& lock) {
    for (const EntryPtr& entry : entries_) {
        if (!entry->model || entry->state != ModelState::loaded || entry->damage.empty()) continue;
        drop_broken(entry, lock);
        return true;
    }
    return false;
}

void ModelStore::unload(std::string_view name) {
    std::unique_lock lock(mutex_);
    const EntryPtr entry = find(name);
    const ApiError::Details conflict{.status = 409, .code = "model_in_use", .param = "model", .headers = {{"Retry-After", "5"}}};
    if (entry->state == ModelState::loading) throw ApiError(concat("the model ", entry->id, " is being loaded"), conflict);
    if (entry->n_leases > 0) throw ApiError(concat("the model ", entry->id, " answers ", entry->n_leases, " requests now"), conflict);
    if (entry->model) evict(entry, lock);
}

void ModelStore::keep(std::string_view name, std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    const EntryPtr entry = find(name);
    if (!entry->model) return;
    entry->lifetime = time;
    if (time.count() == 0 && entry->n_leases == 0 && entry->state == ModelState::loaded)
        evict(entry, lock);
    else
        changed_.notify_all();
}

std::optional<ModelStore::Clock::time_point> ModelStore::next_expiry() const {
    std::optional<Clock::time_point> first;
    for (const auto& entry : entries_) {
        if (!entry->model || entry->n_leases > 0) continue;
        const auto expiry = expiry_of(*entry);
        if (expiry && (!first || *expiry < *first)) first = expiry;
    }
    return first;
}

bool ModelStore::evict_expired_one(std::unique_lock<std::mutex>& lock) {
    for (const auto& entry : entries_) {
        const auto expiry = expiry_of(*entry);
        if (!entry->model || entry->n_leases > 0 || !expiry || Clock::now() < *expiry) continue;
        evict(entry, lock);
        return true;
    }
    return false;
}

/// One whose entry is another now, or gone. Forgets those that hold nothing any more.
bool ModelStore::evict_retired_one(std::unique_lock<std::mutex>& lock) {
    std::erase_if(entries_, [](const EntryPtr& entry) {
        return entry->is_retired && !entry->model && entry->state != ModelState::loading && entry->n_leases == 0;
    });
    for (const EntryPtr& entry : entries_) {
        if (!entry->is_retired || !entry->model || entry->state != ModelState::loaded || entry->n_leases > 0) continue;
        evict(entry, lock);
        return true;
    }
    return false;
}

}  // namespace quern
