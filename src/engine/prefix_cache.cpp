#include "engine/prefix_cache.h"

#include <algorithm>
#include <functional>
#include <random>

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

PrefixCache::PrefixCache(PagePool& pool, bool enabled)
    : pool_(pool), enabled_(enabled), hash_seed_(random_seed()), entries_(static_cast<size_t>(pool.n_pages())) {}

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
    if (entry(page).idle) remove_idle(page);
    pool_.share({page});
    return Page{entry(page).id, {page}};
}

PrefixCache::Page PrefixCache::add(const Key& key, PageId page) {
    QUERN_CHECK(key.tokens.size() == kv_page_tokens);
    if (!enabled_) return {0, page};
    const uint64_t hash = hash_of(key);
    if (const int32_t known = page_of(key, hash); known != none) {
        if (known != page.value) {
            if (entry(known).idle) remove_idle(known);
            pool_.share({known});
            release(page);
        }
        return {entry(known).id, {known}};
    }
    Entry& added = entry(page.value);
    QUERN_CHECK(added.id == 0);
    added.id = ++last_id_;
    added.parent = key.parent;
    added.hash = hash;
    std::copy(key.tokens.begin(), key.tokens.end(), added.tokens.begin());
    added.salt = key.parent == 0 ? std::string(key.salt) : std::string();
    pages_.emplace(hash, page.value);
    pool_.share(page);  // the cache's own share
    return {added.id, page};
}

std::optional<PageId> PrefixCache::take() {
    if (pool_.n_free() == 0 && n_idle_ > 0) {
        forget_oldest();
        ++n_evicted_;
    }
    return pool_.take();
}

void PrefixCache::release(PageId page) {
    pool_.drop(page);
    if (entry(page.value).id != 0 && pool_.n_owners(page) == 1) add_idle(page.value);
}

void PrefixCache::clear() {
    while (n_idle_ > 0) forget_oldest();
}

void PrefixCache::add_idle(int32_t page) {
    Entry& added = entry(page);
    added.idle = true;
    added.older = newest_;
    added.newer = none;
    (newest_ == none ? oldest_ : entry(newest_).newer) = page;
    newest_ = page;
    ++n_idle_;
}

void PrefixCache::remove_idle(int32_t page) {
    Entry& removed = entry(page);
    (removed.older == none ? oldest_ : entry(removed.older).newer) = removed.newer;
    (removed.newer == none ? newest_ : entry(removed.newer).older) = removed.older;
    removed.idle = false;
    --n_idle_;
}

// Whoever owned a page owned those before it and released them later: the oldest idle page is never the beginning of a kept one.
void PrefixCache::forget_oldest() {
    const int32_t page = oldest_;
    remove_idle(page);
    Entry& forgotten = entry(page);
    const auto [begin, end] = pages_.equal_range(forgotten.hash);
    pages_.erase(std::find_if(begin, end, [&](const auto& each) { return each.second == page; }));
    forgotten.id = 0;
    forgotten.salt.clear();
    pool_.drop({page});
}

}  // namespace quern
