#include "engine/memory_budget.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "engine/page_tables.h"

using namespace quern;

namespace {

// Six layers; a page of one is 64 tokens of 2 sides of 2 heads of 32 halves.
constexpr uint64_t layer_page = 64 * 2 * 2 * 32 * 2;

KvNeeds needs_of(int n_windowed, int64_t window = 512) {
    KvNeeds needs{{.n_layers = 6, .n_kv_heads = 2, .head_dim = 32}, 512};
    if (n_windowed == 0) return needs;
    needs.shape.window = window;
    for (int layer = 0; layer < 6; ++layer) needs.shape.windowed.push_back(layer < n_windowed);
    return needs;
}

constexpr int64_t window_pages = most_window_pages(512, 512);

}  // namespace

TEST_CASE("layers with a window take pages for it and for a step, the others for the whole text") {
    CHECK(window_pages == 17);
    CHECK(kv_bytes_of_one(needs_of(0), 8192) == 128 * 6 * layer_page);
    CHECK(kv_bytes_of_one(needs_of(5), 8192) == (128 * 1 + 17 * 5) * layer_page);
    CHECK(kv_bytes_of_one(needs_of(6), 1 << 20) == 17 * 6 * layer_page);
    CHECK(kv_bytes_of_one(needs_of(5), 640) == 10 * 6 * layer_page);
    CHECK(window_bytes_of_one(needs_of(5), 8192) == 17 * 5 * layer_page);
    CHECK(window_bytes_of_one(needs_of(5), 640) == 0);
}

TEST_CASE("windows that hold the whole text are no windows") {
    const KvBudget plan = plan_kv({.n_ctx = 1024, .n_sequences = 2}, needs_of(5), 4096, uint64_t{1} << 30);
    CHECK(plan.shape.window == 0);
    CHECK(plan.shape.n_windowed() == 0);
    CHECK(plan.n_pages == 32);
    CHECK(plan.n_window_pages == 0);
    CHECK(plan.bytes() == 32 * 6 * layer_page);
}

TEST_CASE("with windows, a longer text fits into the same memory") {
    const uint64_t free_bytes = 2 * 1000 * layer_page;
    const auto window_of = [&](int n_windowed) { return plan_kv({.n_sequences = 4}, needs_of(n_windowed), 1 << 20, free_bytes).n_ctx; };
    CHECK(window_of(0) == 1000 / 6 * 64);
    CHECK(window_of(3) == (1000 - 3 * 17) / 3 * 64);
    CHECK(window_of(5) == (1000 - 5 * 17) * 64);
    CHECK(window_of(6) == 1 << 20);
}

TEST_CASE("plans hold one sequence of full length, stay within the budget and use it") {
    for (const int n_windowed : {0, 1, 3, 5, 6})
        for (const int64_t window : {1, 64, 512, 5000})
            for (const uint64_t budget : {20, 100, 300, 1000, 5000, 1 << 20})
                for (const int n_sequences : {1, 3, 32}) {
                    const KvNeeds needs = needs_of(n_windowed, window);
                    const KvBudget plan = plan_kv({.n_sequences = n_sequences, .kv_bytes = budget * layer_page}, needs, 10000, 0);
                    CAPTURE(n_windowed);
                    CAPTURE(window);
                    CAPTURE(budget);
                    CHECK(plan.bytes() <= budget * layer_page);
                    CHECK(plan.n_pages >= pages_for(plan.n_ctx));
                    if (plan.shape.window > 0) CHECK(plan.n_window_pages >= most_window_pages(window, 512));
                    const bool enough_for_all = plan.n_pages >= n_sequences * pages_for(plan.n_ctx);
                    if (!enough_for_all && n_windowed < 6) CHECK(plan.bytes() + 6 * layer_page > budget * layer_page);
                }
}

TEST_CASE("a window that does not fit is refused with the numbers") {
    CHECK_THROWS_WITH_AS(plan_kv({.n_ctx = 65536, .kv_bytes = uint64_t{8} << 20}, needs_of(5), 65536, 0),
                         "a window of 65536 tokens needs 17 MiB of KV cache, but its budget is 8 MiB; ask for a smaller window",
                         InvalidInput);
}
