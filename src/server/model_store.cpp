// Names, leases and tickets. Entries come and go in model_entries.cpp; the thread that loads and evicts is in model_loading.cpp.
#include "server/model_store.h"

#include <algorithm>

#include "base/memory.h"
#include "base/utf8.h"
#include "server/clock.h"
#include "server/http/errors.h"

namespace quern {
namespace {

constexpr size_t max_waiting = 1024;

}  // namespace

uint64_t usual_memory_budget() { return available_memory_bytes() / 10 * 9; }

const char* to_string(ModelState state) {
    switch (state) {
        case ModelState::unloaded:
            return "unloaded";
        case ModelState::loading:
            return "loading";
        case ModelState::loaded:
            return "loaded";
        case ModelState::failed:
            return "failed";
    }
    return "";
}

bool ModelTicket::is_ready() const {
    const std::lock_guard lock(mutex_);
    return is_ready_;
}

ModelLease ModelTicket::take() {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
    return std::move(lease_);
}

void ModelTicket::settle(ModelLease lease, std::exception_ptr error) {
    {
        const std::lock_guard lock(mutex_);
        lease_ = std::move(lease);
        error_ = std::move(error);
        is_ready_ = true;
    }
    if (wake_) wake_();
}

ModelStore::ModelStore(uint64_t budget_bytes, ModelLoader loader)
    : budget_bytes_(budget_bytes > 0 ? budget_bytes : usual_memory_budget()), loader_(std::move(loader)), thread_([this] { run(); }) {}

ModelStore::~ModelStore() {
    stop({});
    thread_.join();
}

bool ModelStore::stop(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
    return changed_.wait_for(lock, at_most, [this] { return has_stopped_; });
}

const ModelStore::EntryPtr& ModelStore::find(std::optional<std::string_view> name) const {
    if (entries_.empty() || entries_.front()->is_retired) throw ApiError("this server has no models", {.status = 503, .code = "no_model"});
    if (!name || name->empty()) return entries_.front();
    for (const auto& entry : entries_)  // an id goes before another model's file name
        if (!entry->is_retired && entry->id == *name) return entry;
    std::string ids;
    std::string_view bare = *name;
    if (bare.ends_with(":latest")) bare.remove_suffix(7);  // Ollama's clients put it behind every name
    for (const auto& entry : entries_) {
        if (entry->is_retired) continue;
        if (std::find(entry->names.begin(), entry->names.end(), bare) != entry->names.end()) return entry;
        ids += (ids.empty() ? "" : ", ") + entry->id;
    }
    throw ApiError(concat("the model '", repair_utf8(*name), "' does not exist here; there is: ", ids),
                   {.status = 404, .code = "model_not_found", .param = "model"});
}

std::string ModelStore::id_of(std::optional<std::string_view> name) const {
    const std::lock_guard lock(mutex_);
    return find(name)->id;
}

// The lease itself keeps the model alive too, so that its last user may look at it until the very end.
ModelLease ModelStore::lease(const EntryPtr& entry) {
    ++entry->n_leases;
    entry->last_used = Clock::now();
    return ModelLease(entry->model.get(),
                      [this, entry, model = entry->model](const ServedModel*) mutable { give_back(*entry, std::move(model)); });
}

// Unloading ends an engine's thread: where the entry holds the model no more, that is left to the loader's thread.
void ModelStore::give_back(Entry& entry, std::shared_ptr<ServedModel> model) noexcept {
    {
        const std::lock_guard lock(mutex_);
        --entry.n_leases;
        entry.last_used = Clock::now();
        entry.is_to_be_checked = true;
        if (entry.model == model)
            model.reset();
        else
            left_over_.push_back(std::move(model));
    }
    changed_.notify_all();
}

// A model whose file has been damaged answers nothing any more, and is loaded anew.
bool ModelStore::is_usable(const Entry& entry) { return entry.state == ModelState::loaded && entry.model && entry.damage.empty(); }

// Whether its file is whole is looked up without the lock: a disk that is slow, or gone, holds up nobody who wants another model.
ModelLease ModelStore::try_lease(std::optional<std::string_view> name, bool even_if_draining) {
    ModelLease held;
    EntryPtr entry;
    {
        const std::lock_guard lock(mutex_);
        entry = find(name);
        if (!is_usable(*entry) || (entry->is_draining && !even_if_draining)) return nullptr;
        held = lease(entry);
    }
    std::string damage = held->engine->failure();
    if (damage.empty()) return held;
    const std::lock_guard lock(mutex_);
    if (entry->model.get() == held.get()) entry->damage = std::move(damage);
    return nullptr;  // the lease goes after the lock: it was there first
}

ModelLease ModelStore::find_loaded(std::optional<std::string_view> name) { return try_lease(name, true); }

// Forgets those who have gone meanwhile.
bool ModelStore::has_waiting(Entry& entry) {
    std::erase_if(entry.waiting, [](const auto& ticket) { return ticket.expired(); });
    return entry.is_preloading || !entry.waiting.empty();
}

void ModelStore::want(Entry& entry) {
    if (entry.state != ModelState::loading) entry.load_number = ++n_wanted_;
    entry.state = ModelState::loading;
}

std::shared_ptr<ModelTicket> ModelStore::request(std::optional<std::string_view> name, Waker wake) {
    const std::shared_ptr<ModelTicket> ticket(new ModelTicket(std::move(wake)));
    for (;;) {
        if ((ticket->lease_ = try_lease(name, false))) {
            ticket->is_ready_ = true;
            return ticket;
        }
        const std::lock_guard lock(mutex_);
        Entry& entry = *find(name);
        if (is_usable(entry) && !entry.is_draining) continue;  // it has been loaded meanwhile
        if (has_waiting(entry) && entry.waiting.size() >= max_waiting)
            throw ApiError(concat("too many requests wait for the model ", entry.id, " already"),
                           {.status = 503, .code = "overloaded", .headers = {{"Retry-After", "5"}}});
        entry.waiting.push_back(ticket);
        if (!is_usable(entry)) want(entry);
        break;
    }
    changed_.notify_all();
    return ticket;
}

ModelStatus ModelStore::status_of(const Entry& entry) const {
    ModelStatus status{.id = entry.id,
                       .path = entry.config.options.model_path,
                       .error = entry.error,
                       .state = entry.state,
                       .created = entry.created,
                       .n_users = entry.n_leases,
                       .is_pinned = entry.config.pin};
    if (entry.model) {
        status.info = entry.model->engine->info();
        status.stats = entry.model->engine->stats();
        if (const auto expiry = expiry_of(entry)) {
            const auto left = std::chrono::duration_cast<std::chrono::seconds>(*expiry - Clock::now()).count();
            status.expires = seconds_now() + std::max<int64_t>(0, left);
        }
    }
    return status;
}

std::vector<ModelStatus> ModelStore::list() const {
    const std::lock_guard lock(mutex_);
    std::vector<ModelStatus> all;
    for (const auto& entry : entries_)
        if (!entry->is_retired) all.push_back(status_of(*entry));
    return all;
}

ModelStatus ModelStore::status(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    return status_of(*find(name));
}

uint64_t ModelStore::used_bytes() const {
    const std::lock_guard lock(mutex_);
    return used_now();
}

int64_t ModelStore::n_loads() const {
    const std::lock_guard lock(mutex_);
    return n_loads_;
}

int64_t ModelStore::n_evictions() const {
    const std::lock_guard lock(mutex_);
    return n_evictions_;
}

}  // namespace quern
