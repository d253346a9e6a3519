// Keeps full pages of keys and values for those who begin with the same tokens. A page is found by all tokens from the beginning of the
// text up to its end, by how each of them was computed (as a prompt or one by one: the last bits differ), and by the request's salt.
// Layers that attend to a window have pages of their own, "window pages". Those of a prefix can be given up without it: whoever goes on
// from a point of the text needs only the last of them (ADR 10).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/idle_pages.h"
#include "engine/page_pool.h"
#include "kernels/attention/attention.h"

namespace quern {

/// Shares the pages of a pool and gives up the least recently used when others need them. Hashes only find candidates; the tokens decide.
/// Not thread-safe: belongs to the engine thread.
class PrefixCache {
  public:
    /// `pool` must outlive this. When not enabled, nothing is ever found.
    PrefixCache(PagePool& pool, bool enabled);
    /// For a model with windowed layers. @param windows  the pool of their pages
    PrefixCache(PagePool& pool, PagePool& windows, bool enabled);

    /// A text up to the end of one of its pages; 0 is the empty beginning.
    using PrefixId = uint64_t;
    struct Page {
        PrefixId prefix = 0;
        PageId page;
        PageId window = {};  ///< none (-1) where it was given up, or where the model has no such pages
    };
    /// kv_page_tokens marked tokens that follow `parent`. `salt` matters for the first page, and is ignored for the others.
    struct Key {
        PrefixId parent = 0;
        std::span<const int32_t> tokens;
        std::string_view salt;
    };

    /// The page of this text, which the caller then owns as well, or nothing. The window page is only named: see own_window().
    std::optional<Page> find(const Key& key);
    /// One more owner for a window page that find() named.
    void own_window(PageId window);
    /// Hands in a page that is computed, and its window page if there are such; the caller goes on owning what comes back: its own, or
    /// equal ones that were there already.
    Page add(const Key& key, PageId page, PageId window = {});

    /// A page with one owner, taken from the oldest unused prefix if there is no other. Nothing when all are in use.
    std::optional<PageId> take();
    /// The same for a window page; the prefix that loses its own stays.
    std::optional<PageId> take_window();
    /// The caller no longer owns the page. Those of a sequence are released from its end to its beginning, so that prefixes outlive what
    /// follows them.
    void release(PageId page);
    void release_window(PageId window);
    /// Forgets what nobody uses.
    void clear();

    /// Pages that take() can give.
    int64_t n_available() const noexcept { return pool_.n_free() + idle_.size(); }
    /// Of these, pages that hold a prefix.
    int64_t n_idle() const noexcept { return idle_.size(); }
    /// Pages of prefixes that were given up for others.
    int64_t n_evicted() const noexcept { return n_evicted_; }

    bool is_enabled() const noexcept { return enabled_; }
    bool has_windows() const noexcept { return windows_ != nullptr; }
    int64_t n_available_windows() const noexcept { return windows_ ? windows_->n_free() + idle_windows_.size() : 0; }
    int64_t n_idle_windows() const noexcept { return idle_windows_.size(); }
    /// Window pages that take_window() took from prefixes; those that go with their prefix are not counted.
    int64_t n_evicted_windows() const noexcept { return n_evicted_windows_; }

  private:
    static constexpr int32_t none = -1;
    struct Entry {
        PrefixId id = 0;  // 0: the page holds no prefix
        PrefixId parent = 0;
        uint64_t hash = 0;
        std::array<int32_t, kv_page_tokens> tokens;
        std::string salt;
        int32_t window = none;  // its window page
    };

    PrefixCache(PagePool& pool, PagePool* windows, bool enabled);

    Entry& entry(int32_t page) { return entries_[static_cast<size_t>(page)]; }
    uint64_t hash_of(const Key& key) const;
    int32_t page_of(const Key& key, uint64_t hash);
    void own(int32_t page);
    PageId keep_window(int32_t page, PageId window);
    void forget_window(int32_t window);
    void forget_oldest();

    PagePool& pool_;
    PagePool* const windows_;
    const bool enabled_;
    const uint64_t hash_seed_;
    std::vector<Entry> entries_;          // by page
    std::vector<int32_t> window_owners_;  // by window page: the page whose prefix keeps it, or none
    IdlePages idle_, idle_windows_;
    std::unordered_multimap<uint64_t, int32_t> pages_;
    PrefixId last_id_ = 0;
    int64_t n_evicted_ = 0, n_evicted_windows_ = 0;
};

}  // namespace quern
