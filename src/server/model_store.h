// The models that a server offers, by name. They are loaded when they are wanted, on a thread of their own, and make room for each other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/http/answer.h"
#include "server/served_model.h"

namespace quern {

/// A model that may be asked for.
struct ModelEntry {
    EngineOptions options;
    std::string alias;  ///< "": the file's name without .gguf
    Json template_variables = Json::object();
    bool pin = false;         ///< is never unloaded to make room
    bool preload = false;     ///< is loaded before the server answers
    bool is_missing = false;  ///< there was no file when the settings were read: is not preloaded
    bool cache = false;       ///< options.cache_bytes is cache_bytes, else 0
    uint64_t cache_bytes = uint64_t{2} << 30;
    std::string chat_template_file, hf_tokenizer_config_path;    ///< where options.chat_template comes from
    std::chrono::seconds ttl{0};                                 ///< is unloaded when nobody used it for so long; 0: stays
    bool adapters_start_off = false;                             ///< at the scale 0
    std::map<std::string, std::vector<AdapterSource>> adapters;  ///< by the setting that names them
    std::optional<int> n_draft;                                  ///< options.n_draft; nothing: usual_draft
    int usual_draft = EngineOptions::usual_draft;                ///< llama-cpp-python's when its prompt lookup was asked for
    bool operator==(const ModelEntry&) const = default;
};

/// What clients call it: its alias, or its file's name without .gguf.
std::string model_id(const ModelEntry& entry);

enum class ModelState : uint8_t { unloaded, loading, loaded, failed };
const char* to_string(ModelState state);

/// What a store knows of an entry at one moment.
struct ModelStatus {
    std::string id, path, error;
    ModelState state = ModelState::unloaded;
    int64_t created = 0;  ///< seconds since 1970
    int n_users = 0;      ///< requests that hold it
    bool is_pinned = false;
    std::optional<ModelInfo> info;   ///< while it is loaded
    std::optional<int64_t> expires;  ///< when it is unloaded if nobody uses it, in seconds since 1970
    EngineStats stats;
};

/// A place in the queue for a model.
class ModelTicket {
  public:
    bool is_ready() const;
    /// REQUIRES: is_ready(). @throws ApiError  when it could not be loaded
    ModelLease take();

  private:
    friend class ModelStore;
    explicit ModelTicket(Waker wake) : wake_(std::move(wake)) {}
    void settle(ModelLease lease, std::exception_ptr error);

    const Waker wake_;
    mutable std::mutex mutex_;
    bool is_ready_ = false;  // guarded by mutex_, like all below
    ModelLease lease_;
    std::exception_ptr error_;
};

/// Ids of models whose entries are others now.
struct ModelChanges {
    std::vector<std::string> added, changed, removed;
};

bool is_model_file_there(const std::string& path);

/// How models come into memory; tests bring their own.
struct ModelLoader {
    std::function<std::unique_ptr<Engine>(const EngineOptions&)> load = &Engine::load;
    std::function<MemoryNeed(const EngineOptions&)> need = &memory_need;
    std::function<bool(const std::string&)> has_file = &is_model_file_there;
};

/// Nine tenths of what the machine and the cgroup have free now.
uint64_t usual_memory_budget();

/// Any thread. One load at a time, in the order in which they were asked for; a model in use is never unloaded. Where only busy models
/// could make room, one of them is drained: what it answers ends, and new requests wait as for a load. A model whose entry has been
/// replaced or removed answers who asked before, and is unloaded when it is idle.
class ModelStore {
  public:
    /// @param budget_bytes  for weights, caches and workspaces together; 0: nine tenths of what the machine has free now
    explicit ModelStore(uint64_t budget_bytes = 0, ModelLoader loader = {});
    ~ModelStore();
    ModelStore(const ModelStore&) = delete;
    ModelStore& operator=(const ModelStore&) = delete;

    /// The first entry is the default. One with the file and the alias of another adds its slots to it.
    /// @throws InvalidInput  when another model has that name
    void declare(ModelEntry entry);
    /// An entry that is loaded already. @throws InvalidInput  when another model has that name
    void add(std::unique_ptr<Engine> engine, const std::string& path, const std::string& alias);
    /// From now on these are the entries. A loaded model stays so if nothing has changed that it was loaded with, its file included; others
    /// are loaded anew: the first entry and those that are to be preloaded at once, in the background.
    /// @throws InvalidInput  as declare(); then nothing has changed
    ModelChanges replace(std::vector<ModelEntry> entries);
    /// Loads the first entry whose file is there, and those that are to be preloaded. Blocks. False: stop() came first. @throws what
    /// loading throws
    bool preload();

    /// The id of the model of that name, or of the default one for nothing.
    /// @throws ApiError  404 model_not_found, listing the ids
    std::string id_of(std::optional<std::string_view> name) const;
    /// The model when it is in memory, else nullptr. @throws ApiError  404
    ModelLease find_loaded(std::optional<std::string_view> name);
    /// Asks for a model. `wake` is called, from any thread, when the ticket is ready. @throws ApiError  404; 503 when too many wait
    std::shared_ptr<ModelTicket> request(std::optional<std::string_view> name, Waker wake);
    /// No more loads. False: one is still under way after that time, and the destructor will wait for it.
    bool stop(std::chrono::milliseconds at_most);
    /// @throws ApiError  404; 409 while it is in use or being loaded
    void unload(std::string_view name);
    static constexpr std::chrono::milliseconds forever = std::chrono::milliseconds::max();
    /// Unloads the model, should it be in memory, once nobody has used it for so long, in place of its entry's `ttl`. 0: as soon as it is
    /// idle. @throws ApiError  404
    void keep(std::string_view name, std::chrono::milliseconds time);

    std::vector<ModelStatus> list() const;
    ModelStatus status(std::string_view name) const;
    uint64_t budget_bytes() const { return budget_bytes_; }
    uint64_t used_bytes() const;
    int64_t n_loads() const;
    int64_t n_evictions() const;

  private:
    using Clock = std::chrono::steady_clock;
    using FileTimes = std::vector<std::optional<std::filesystem::file_time_type>>;
    struct Entry {
        ModelEntry config;
        std::string id;
        std::vector<std::string> names;  // the id, the path as given, the file's name with and without .gguf
        int64_t created = 0;
        ModelState state = ModelState::unloaded;
        std::string error;
        std::shared_ptr<ServedModel> model;
        int n_leases = 0;
        Clock::time_point last_used{};
        std::chrono::milliseconds lifetime = forever;  // after last_used
        std::vector<std::weak_ptr<ModelTicket>> waiting;
        uint64_t load_number = 0;       // loads are made in this order
        bool is_draining = false;       // is to make room, and answers nobody new
        bool is_preloading = false;     // is loaded although nobody waits for it
        bool is_retired = false;        // for new requests there is another entry, or none
        bool is_to_be_checked = false;  // it was used since somebody looked whether its file is whole
        std::string damage;             // what has become of its file; "": nothing that is known
        /// What it takes with the smallest useful window, and with one whole window.
        struct Needs {
            uint64_t least_bytes = 0, window_bytes = 0;
        };
        std::optional<Needs> needs;
        FileTimes file_times;  // of all that it is loaded from
    };
    using EntryPtr = std::shared_ptr<Entry>;

    static EntryPtr make_entry(ModelEntry config);
    static Entry& add_entry(std::vector<EntryPtr>& entries, ModelEntry config);
    static FileTimes file_times_of(const EngineOptions& options);
    static bool is_same_load(const Entry& old, const Entry& fresh);
    std::vector<EntryPtr> entries_to_preload() const;
    void want_preloaded();
    void run();
    void work(std::unique_lock<std::mutex>& lock);
    static std::chrono::milliseconds usual_lifetime(const ModelEntry& config);
    static std::optional<Clock::time_point> expiry_of(const Entry& entry);
    void load(const EntryPtr& entry, std::unique_lock<std::mutex>& lock);
    EntryPtr next_to_load();
    std::optional<EngineOptions> make_room(Entry& entry, const MemoryNeed& need, std::unique_lock<std::mutex>& lock);
    EntryPtr least_used(bool is_busy);
    void stop_draining(std::unique_lock<std::mutex>& lock);
    static bool has_waiting(Entry& entry);
    void want(Entry& entry);
    void evict(EntryPtr entry, std::unique_lock<std::mutex>& lock);
    void drop_broken(EntryPtr entry, std::unique_lock<std::mutex>& lock);
    bool check_one(std::unique_lock<std::mutex>& lock);
    bool drop_broken_one(std::unique_lock<std::mutex>& lock);
    bool evict_expired_one(std::unique_lock<std::mutex>& lock);
    bool evict_retired_one(std::unique_lock<std::mutex>& lock);
    std::optional<Clock::time_point> next_expiry() const;
    void settle(const EntryPtr& entry, std::exception_ptr error, std::unique_lock<std::mutex>& lock);
    static bool is_usable(const Entry& entry);
    ModelLease lease(const EntryPtr& entry);
    void give_back(Entry& entry, std::shared_ptr<ServedModel> model) noexcept;
    bool drop_left_over(std::unique_lock<std::mutex>& lock);
    ModelLease try_lease(std::optional<std::string_view> name, bool even_if_draining);
    const EntryPtr& find(std::optional<std::string_view> name) const;
    ModelStatus status_of(const Entry& entry) const;
    uint64_t used_now() const { return bytes_of(false); }
    uint64_t bytes_of(bool only_pinned) const;
    bool is_resident(const std::string& path) const;
    uint64_t missing_weights(const EngineOptions& options, const MemoryNeed& need) const;
    void learn_needs(const Entry& loading, std::unique_lock<std::mutex>& lock);
    uint64_t share_of_cache(const Entry& entry, const MemoryNeed& need, uint64_t least) const;

    const uint64_t budget_bytes_;
    const ModelLoader loader_;
    mutable std::mutex mutex_;
    std::vector<EntryPtr> entries_;                      // retired ones last. Guarded by mutex_, with what they hold, like all below
    std::list<std::shared_ptr<ServedModel>> left_over_;  // given back when their entries held them no more
    std::condition_variable changed_;
    bool is_stopping_ = false, has_stopped_ = false;
    int64_t n_loads_ = 0, n_evictions_ = 0;
    uint64_t n_wanted_ = 0;
    std::thread thread_;  // last
};

}  // namespace quern
