#include "engine/prefix_cache.h"

#include <algorithm>
#include <functional>
#include <random>
#include <utility>

#include "base/error.h"

namespace quern {
namespace {

// The finaliser of SplitMix64. Source: Steele, Lea, Flood 2014.
uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// Nobody outside can then make texts whose hashes collide.
uint64_t random_seed() {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace

PrefixCache::PrefixCache(PagePool& pool, PagePool* windows, bool enabled)
    : pool_(pool),
      windows_(windows),
      enabled_(enabled),
      hash_seed_(random_seed()),
      entries_(static_cast<size_t>(pool.n_pages())),
      window_owners_(static_cast<size_t>(windows ? windows->n_pages() : 0), none),
      idle_(pool.n_pages()),
      idle_windows_(static_cast<int64_t>(window_owners_.size())) {}

PrefixCache::PrefixCache(PagePool& pool, bool enabled) : PrefixCache(pool, nullptr, enabled) {}
PrefixCache::PrefixCache(PagePool& pool, PagePool& windows, bool enabled) : PrefixCache(pool, &windows, enabled) {}

uint64_t PrefixCache::hash_of(const Key& key) const {
    uint64_t hash = mix(hash_seed_ + key.parent);
    if (key.parent == 0) hash = mix(hash ^ std::hash<std::string_view>()(key.salt));
    for (const int32_t token : key.tokens) hash = mix(hash + 0x9E3779B97F4A7C15u + static_cast<uint32_t>(token));
    return hash;
}

int32_t PrefixCache::page_of(const Key& key, uint64_t hash) {
    const auto [begin, end] = pages_.equal_range(hash);
    for (auto each = begin; each != end; ++each) {
        const Entry& found = entry(each->second);
        if (found.parent == key.parent && std::equal(key.tokens.begin(), key.tokens.end(), found.tokens.begin(), found.tokens.end()) &&
            (key.parent != 0 || found.salt == key.salt))
            return each->second;
    }
    return none;
}

std::optional<PrefixCache::Page> PrefixCache::find(const Key& key) {
    if (!enabled_) return std::nullopt;
    const int32_t page = page_of(key, hash_of(key));
    if (page == none) return std::nullopt;
    own(page);
    return Page{entry(page).id, {page}, {entry(page).window}};
}

// One more owner for a page that holds a prefix.
void PrefixCache::own(int32_t page) {
    if (idle_.contains(page)) idle_.remove(page);
    pool_.share({page});
}

void PrefixCache::own_window(PageId window) {
    if (idle_windows_.contains(window.value)) idle_windows_.remove(window.value);
    windows_->share(window);
}

// The window page that the prefix of `page` keeps, of which the caller owns a share: its own `window`, or the one that was there.
PageId PrefixCache::keep_window(int32_t page, PageId window) {
    int32_t& kept = entry(page).window;
    if (!windows_ || window.value == none || window.value == kept) return window;
    if (kept == none) {
        kept = window.value;
        window_owners_[static_cast<size_t>(kept)] = page;
        windows_->share(window);  // the cache's own share
    } else {
        own_window({kept});
        release_window(window);
    }
    return {kept};
}

PrefixCache::Page PrefixCache::add(const Key& key, PageId page, PageId window) {
    QUERN_CHECK(key.tokens.size() == kv_page_tokens);
    if (!enabled_) return {0, page, window};
    const uint64_t hash = hash_of(key);
    if (const int32_t known = page_of(key, hash); known != none) {
        if (known != page.value) {
            own(known);
            release(page);
        }
        return {entry(known).id, {known}, keep_window(known, window)};
    }
    Entry& added = entry(page.value);
    QUERN_CHECK(added.id == 0);
    std::string salt(key.parent == 0 ? key.salt : std::string_view());
    pages_.emplace(hash, page.value);  // what follows takes no memory: either all of it is done or nothing
    added.id = ++last_id_;
    added.parent = key.parent;
    added.hash = hash;
    std::copy(key.tokens.begin(), key.tokens.end(), added.tokens.begin());
    added.salt = std::move(salt);
    pool_.share(page);  // the cache's own share
    return {added.id, page, keep_window(page.value, window)};
}

std::optional<PageId> PrefixCache::take() {
    if (pool_.n_free() == 0 && idle_.size() > 0) {
        forget_oldest();
        ++n_evicted_;
    }
    return pool_.take();
}

std::optional<PageId> PrefixCache::take_window() {
    if (windows_->n_free() == 0 && idle_windows_.size() > 0) {
        forget_window(idle_windows_.oldest());
        ++n_evicted_windows_;
    }
    return windows_->take();
}

void PrefixCache::release(PageId page) {
    pool_.drop(page);
    if (entry(page.value).id != 0 && pool_.n_owners(page) == 1) idle_.add(page.value);
}

void PrefixCache::release_window(PageId window) {
    windows_->drop(window);
    if (window_owners_[static_cast<size_t>(window.value)] != none && windows_->n_owners(window) == 1) idle_windows_.add(window.value);
}

void PrefixCache::clear() {
    while (idle_.size() > 0) forget_oldest();
}

// The prefix that kept this window page no longer does.
void PrefixCache::forget_window(int32_t window) {
    int32_t& owner = window_owners_[static_cast<size_t>(window)];
    entry(owner).window = none;
    owner = none;
    if (idle_windows_.contains(window)) idle_windows_.remove(window);
    windows_->drop({window});
}

// Whoever owned a page owned those before it and released them later: the oldest idle page is never the beginning of a kept one.
void PrefixCache::forget_oldest() {
    const int32_t page = idle_.oldest();
    idle_.remove(page);
    Entry& forgotten = entry(page);
    if (forgotten.window != none) forget_window(forgotten.window);
    const auto [begin, end] = pages_.equal_range(forgotten.hash);
    pages_.erase(std::find_if(begin, end, [&](const auto& each) { return each.second == page; }));
    forgotten.id = 0;
    forgotten.salt.clear();
    pool_.drop({page});
}

}  // namespace quern
