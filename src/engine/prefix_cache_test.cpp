#include "engine/prefix_cache.h"

#include <doctest/doctest.h>

#include <map>
#include <numeric>
#include <random>

using namespace quern;

namespace {

std::vector<int32_t> page_of(int32_t first) {
    std::vector<int32_t> tokens(kv_page_tokens);
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
}

}  // namespace

TEST_CASE("a page is found by its tokens, its beginning and its salt, and by nothing less") {
    PagePool pool(8);
    PrefixCache cache(pool, true);
    const auto first = page_of(0), second = page_of(100);
    const auto a = cache.add({.tokens = first, .salt = "s"}, *cache.take());
    const auto b = cache.add({.parent = a.prefix, .tokens = second}, *cache.take());
    CHECK(cache.find({.tokens = first, .salt = "s"})->page == a.page);
    CHECK(!cache.find({.tokens = first}));
    CHECK(!cache.find({.tokens = second, .salt = "s"}));
    CHECK(!cache.find({.parent = b.prefix, .tokens = second}));
    CHECK(cache.find({.parent = a.prefix, .tokens = second})->page == b.page);
    auto other = first;
    other.back() += 1;
    CHECK(!cache.find({.tokens = other, .salt = "s"}));
}

TEST_CASE("an equal page that comes later is given back for the first one") {
    PagePool pool(4);
    PrefixCache cache(pool, true);
    const auto tokens = page_of(0);
    const auto first = cache.add({.tokens = tokens}, *cache.take());
    const auto second = cache.add({.tokens = tokens}, *cache.take());
    CHECK(second.page == first.page);
    CHECK(second.prefix == first.prefix);
    CHECK(pool.n_free() == 3);
    cache.release(first.page);
    CHECK(cache.n_idle() == 0);
    cache.release(second.page);
    CHECK(cache.n_idle() == 1);
    CHECK(cache.n_available() == 4);
}

TEST_CASE("the least recently used prefix makes room, its end before its beginning") {
    PagePool pool(3);
    PrefixCache cache(pool, true);
    const auto one = page_of(0), two = page_of(100), three = page_of(200);
    const auto a = cache.add({.tokens = one}, *cache.take());
    const auto b = cache.add({.parent = a.prefix, .tokens = two}, *cache.take());
    cache.release(b.page);
    cache.release(a.page);
    const auto c = cache.add({.tokens = three}, *cache.take());
    cache.release(c.page);
    CHECK(cache.take() == b.page);  // nothing is free
    CHECK(cache.n_evicted() == 1);
    CHECK(!cache.find({.parent = a.prefix, .tokens = two}));
    const auto again = cache.find({.tokens = one});
    REQUIRE(again);
    CHECK(cache.take() == c.page);
    CHECK(!cache.take());  // the rest is in use
    cache.release(again->page);
    CHECK(cache.take() == a.page);
}

TEST_CASE("a cache that is switched off finds nothing and keeps nothing") {
    PagePool pool(2);
    PrefixCache cache(pool, false);
    const auto tokens = page_of(0);
    const auto added = cache.add({.tokens = tokens}, *cache.take());
    CHECK(!cache.find({.tokens = tokens}));
    cache.release(added.page);
    CHECK(pool.n_free() == 2);
}

TEST_CASE("whatever is taken, shared, released and evicted, owners and pages add up") {
    PagePool pool(12);
    PrefixCache cache(pool, true);
    std::mt19937 random(5);
    struct Text {
        std::vector<PrefixCache::Page> pages;
        std::vector<int32_t> firsts;
    };
    std::vector<Text> texts;
    std::map<int32_t, std::pair<PrefixCache::PrefixId, int32_t>> content;  // by page: what was written to it
    for (int i = 0; i < 20000; ++i) {
        if (texts.size() < 4 && random() % 2) texts.emplace_back();
        if (texts.empty()) continue;
        Text& text = texts[random() % texts.size()];
        if (random() % 8 == 0) {
            while (!text.pages.empty()) {
                cache.release(text.pages.back().page);
                text.pages.pop_back();
            }
            std::swap(text, texts.back());
            texts.pop_back();
            continue;
        }
        const auto first = static_cast<int32_t>(random() % 3 * 1000);
        const PrefixCache::PrefixId parent = text.pages.empty() ? 0 : text.pages.back().prefix;
        const auto tokens = page_of(first);
        if (const auto found = cache.find({.parent = parent, .tokens = tokens})) {
            CHECK(content.at(found->page.value) == std::pair(parent, first));
            text.pages.push_back(*found);
        } else if (const auto page = cache.take()) {
            content[page->value] = {parent, first};
            text.pages.push_back(cache.add({.parent = parent, .tokens = tokens}, *page));
        }
    }
    for (Text& text : texts)
        for (; !text.pages.empty(); text.pages.pop_back()) cache.release(text.pages.back().page);
    CHECK(cache.n_evicted() > 1000);
    CHECK(cache.n_available() == 12);
    cache.clear();
    CHECK(pool.n_free() == 12);
}
