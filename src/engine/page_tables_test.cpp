#include "engine/page_tables.h"

#include <doctest/doctest.h>

#include <numeric>

#include "kernels/attention/attention.h"

using namespace quern;

namespace {

constexpr int64_t window = 100;  // a token sees up to three pages

struct Pools {
    PagePool full{20}, windows{8};
    PrefixCache cache{full, windows, true};
};

std::vector<int32_t> page_tokens(int32_t page) {
    std::vector<int32_t> tokens(kv_page_tokens);
    std::iota(tokens.begin(), tokens.end(), page * 1000);
    return tokens;
}

// Computes a text of n pages in steps of one page, and lets go of it.
void compute(Pools& pools, int32_t n_pages) {
    PageTables pages;
    PrefixCache::PrefixId prefix = 0;
    for (int32_t i = 0; i < n_pages; ++i) {
        REQUIRE(pages.cover(pools.cache, (i + 1) * kv_page_tokens));
        const auto tokens = page_tokens(i);
        const auto added = pools.cache.add({.parent = prefix, .tokens = tokens}, pages.full_page(i), pages.window_page(i));
        pages.replace(i, added);
        prefix = added.prefix;
        pages.give_back_before(pools.cache, (i + 1) * kv_page_tokens, window);
    }
    pages.release_all(pools.cache);
}

// How many pages of such a text can be gone on from.
int64_t usable(Pools& pools, int32_t n_pages, PageTables& pages) {
    PrefixCache::PrefixId prefix = 0;
    for (int32_t i = 0; i < n_pages; ++i) {
        const auto tokens = page_tokens(i);
        const auto found = pools.cache.find({.parent = prefix, .tokens = tokens});
        if (!found) break;
        pages.append_found(*found);
        prefix = found->prefix;
    }
    return pages.keep_usable(pools.cache, window);
}

int64_t usable(Pools& pools, int32_t n_pages) {
    PageTables pages;
    const int64_t n = usable(pools, n_pages, pages);
    pages.release_all(pools.cache);
    return n;
}

}  // namespace

TEST_CASE("the first page of a window is that of its first token") {
    CHECK(first_window_page(0, 100) == 0);
    CHECK(first_window_page(162, 100) == 0);  // sees 63
    CHECK(first_window_page(163, 100) == 1);
    CHECK(first_window_page(64, 1) == 1);
    for (const int64_t size : {1, 2, 63, 64, 65, 100, 4096})
        for (const int64_t step : {1, 7, 64, 512})
            for (int64_t position = 0; position < 9000; position += 13)
                REQUIRE(pages_for(position + step) - first_window_page(position, size) <= most_window_pages(size, step));
}

TEST_CASE("a text holds no more window pages than its window needs, however long it gets") {
    Pools pools;
    PageTables pages;
    for (int32_t i = 0; i < 20; ++i) {
        REQUIRE(pages.cover(pools.cache, (i + 1) * kv_page_tokens));
        pages.give_back_before(pools.cache, (i + 1) * kv_page_tokens, window);
        CHECK(pools.windows.n_pages() - pools.windows.n_free() <= most_window_pages(window, kv_page_tokens));
        CHECK(pages.window_page(i).value >= 0);
    }
    CHECK(pages.window_page(0).value == -1);
    CHECK(!pages.cover(pools.cache, 21 * kv_page_tokens));  // the full layers' pages are used up
    pages.release_all(pools.cache);
    CHECK(pools.full.n_free() == 20);
    CHECK(pools.windows.n_free() == 8);
}

TEST_CASE("a prefix can be gone on from where its last window is still there") {
    Pools pools;
    compute(pools, 12);  // 8 window pages: those of pages 4 to 11 are left
    CHECK(pools.cache.n_idle() == 12);
    CHECK(pools.cache.n_idle_windows() == 8);
    CHECK(usable(pools, 12) == 12);
    CHECK(usable(pools, 7) == 7);  // reads from position 349 on: page 5
    CHECK(usable(pools, 6) == 6);
    CHECK(usable(pools, 5) == 0);  // would read page 3
    CHECK(usable(pools, 20) == 12);
    PageTables pages;
    CHECK(usable(pools, 12, pages) == 12);
    CHECK(pages.window_page(9).value == -1);
    CHECK(pages.window_page(10).value >= 0);
    CHECK(pools.cache.n_available_windows() == 6);
    CHECK(pools.cache.n_available() == 8);
    pages.release_all(pools.cache);
}

TEST_CASE("a hit whose window is gone is cut back to where one is left") {
    Pools pools;
    compute(pools, 7);
    PageTables held;  // takes the place of window pages, the least recently used first: of pages 0, 1, 2, ...
    REQUIRE(held.cover(pools.cache, 4 * kv_page_tokens));
    CHECK(pools.cache.n_idle() == 7);
    CHECK(usable(pools, 7) == 7);
    PageTables more;
    more.cover(pools.cache, 9 * kv_page_tokens);
    more.release_all(pools.cache);
    CHECK(usable(pools, 7) == 0);
    held.release_all(pools.cache);
    compute(pools, 3);  // computed again, the pages have windows again
    CHECK(pools.cache.n_idle() == 7);
    CHECK(usable(pools, 7) == 3);
    CHECK(pools.cache.n_available() == 20);
    CHECK(pools.cache.n_available_windows() == 8);
}

TEST_CASE("a prefix that goes takes its window page with it") {
    Pools pools;
    compute(pools, 8);
    PageTables pages;
    REQUIRE(!pages.cover(pools.cache, 20 * kv_page_tokens));  // all full pages are had, then no window pages are left
    CHECK(pools.cache.n_idle() == 0);
    CHECK(pools.cache.n_available_windows() == 0);
    pages.release_all(pools.cache);
    CHECK(pools.full.n_free() == 20);
    CHECK(pools.windows.n_free() == 8);
}
