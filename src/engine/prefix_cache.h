// Keeps full pages of keys and values for those who begin with the same tokens. A page is found by all tokens from the beginning of the
// text up to its end, by how each of them was computed (as a prompt or one by one: the last bits differ), and by the request's salt.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/page_pool.h"
#include "kernels/attention/attention.h"

namespace quern {

/// Shares the pages of a pool and gives up the least recently used when others need them. Hashes only find candidates; the tokens decide.
/// Not thread-safe: belongs to the engine thread.
class PrefixCache {
  public:
    /// `pool` must outlive this. When not enabled, nothing is ever found.
    PrefixCache(PagePool& pool, bool enabled);

    /// A text up to the end of one of its pages; 0 is the empty beginning.
    using PrefixId = uint64_t;
    struct Page {
        PrefixId prefix = 0;
        PageId page;
    };
    /// kv_page_tokens marked tokens that follow `parent`. `salt` matters for the first page, and is ignored for the others.
    struct Key {
        PrefixId parent = 0;
        std::span<const int32_t> tokens;
        std::string_view salt;
    };

    /// The page of this text, which the caller then owns as well, or nothing.
    std::optional<Page> find(const Key& key);
    /// Hands in a page that is computed; the caller goes on owning the page that comes back: its own, or an equal one that was there
    /// already.
    Page add(const Key& key, PageId page);

    /// A page with one owner, taken from the oldest unused prefix if there is no other. Nothing when all are in use.
    std::optional<PageId> take();
    /// The caller no longer owns the page. Those of a sequence are released from its end to its beginning, so that prefixes outlive what
    /// follows them.
    void release(PageId page);
    /// Forgets what nobody uses.
    void clear();

    /// Pages that take() can give.
    int64_t n_available() const noexcept { return pool_.n_free() + n_idle_; }
    /// Of these, pages that hold a prefix.
    int64_t n_idle() const noexcept { return n_idle_; }
    int64_t n_evicted() const noexcept { return n_evicted_; }

  private:
    static constexpr int32_t none = -1;
    struct Entry {
        PrefixId id = 0;  // 0: the page holds no prefix
        PrefixId parent = 0;
        uint64_t hash = 0;
        std::array<int32_t, kv_page_tokens> tokens;
        std::string salt;
        int32_t older = none, newer = none;  // neighbours among the idle
        bool idle = false;
    };

    Entry& entry(int32_t page) { return entries_[static_cast<size_t>(page)]; }
    uint64_t hash_of(const Key& key) const;
    int32_t page_of(const Key& key, uint64_t hash);
    void add_idle(int32_t page);
    void remove_idle(int32_t page);
    void forget_oldest();

    PagePool& pool_;
    const bool enabled_;
    const uint64_t hash_seed_;
    std::vector<Entry> entries_;  // by page
    std::unordered_multimap<uint64_t, int32_t> pages_;
    PrefixId last_id_ = 0;
    int32_t oldest_ = none, newest_ = none;
    int64_t n_idle_ = 0, n_evicted_ = 0;
};

}  // namespace quern
