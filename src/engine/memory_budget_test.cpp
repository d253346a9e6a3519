#include "engine/memory_budget.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "engine/page_tables.h"
#include "engine/tiny_engine_test.h"

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

// Without weights and work memory.
KvBudget plan_for(EngineOptions options, const KvNeeds& kv, int64_t n_ctx_train, uint64_t free_bytes) {
    options.cache_bytes = 0;
    const int64_t n_ctx = options.n_ctx > 0 ? options.n_ctx : n_ctx_train;
    return plan_kv(options, {{.n_ctx = n_ctx, .n_ctx_train = n_ctx_train}, kv}, free_bytes);
}

constexpr uint64_t mib = 1 << 20;

// 64 pages of 1 MiB for a window, for two sequences.
KvBudget plan(EngineOptions options, uint64_t free_mib) {
    options.n_sequences = 2;
    const KvNeeds kv{{.n_layers = 4, .n_kv_heads = 8, .head_dim = 128}, 512};
    const MemoryNeed need{.n_ctx = 4096, .n_ctx_train = 4096, .weight_bytes = 100 * mib, .workspace_bytes = 20 * mib};
    return plan_kv(options, {need, kv}, free_mib * mib);
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
    const KvBudget plan = plan_for({.n_ctx = 1024, .n_sequences = 2}, needs_of(5), 4096, uint64_t{1} << 30);
    CHECK(plan.shape.window == 0);
    CHECK(plan.shape.n_windowed() == 0);
    CHECK(plan.n_pages == 32);
    CHECK(plan.n_window_pages == 0);
    CHECK(plan.bytes() == 32 * 6 * layer_page);
}

TEST_CASE("with windows, a longer text fits into the same memory") {
    const uint64_t free_bytes = 1000 * layer_page;
    const auto window_of = [&](int n_windowed) {
        return plan_for({.n_sequences = 4, .kv_bytes = free_bytes}, needs_of(n_windowed), 1 << 20, 0).n_ctx;
    };
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
                    const KvBudget plan = plan_for({.n_sequences = n_sequences, .kv_bytes = budget * layer_page}, needs, 10000, 0);
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
    CHECK_THROWS_WITH_AS(plan_for({.n_ctx = 65536, .kv_bytes = uint64_t{8} << 20}, needs_of(5), 65536, 0),
                         "a window of 65536 tokens needs 17 MiB of KV cache, but its budget is 8 MiB; ask for a smaller window",
                         InvalidInput);
}

TEST_CASE("the cache gets what the weights and the work leave of nine tenths, and no more than is useful") {
    CHECK(plan({}, 1000).n_pages == 128);
    CHECK(plan({.cache_bytes = 50 * mib}, 1000).n_pages == 178);
    CHECK(plan({}, 220).n_pages == 198 - 120);
    CHECK(plan({}, 220).n_ctx == 4096);
    CHECK(plan({.kv_bytes = 70 * mib}, 1).n_pages == 70);
}

TEST_CASE("a window that does not fit shrinks unless it was asked for, also where the weights do not fit") {
    CHECK(plan({}, 190).n_ctx == 51 * 64);             // 171 of 190, less 120
    CHECK(plan({}, 100).n_ctx == (90 - 20) / 4 * 64);  // a quarter without the work: the weights are read again and again
    CHECK_THROWS_AS(plan({.n_ctx = 4096}, 190), InvalidInput);
    CHECK_THROWS_AS(plan({}, 20), InvalidInput);
}

TEST_CASE("what a model needs includes its draft model") {
    const TemporaryModel model({}), draft({.seed = 2});
    EngineOptions options = options_for(model);
    const MemoryNeed alone = memory_need(options);
    options.draft_model_path = draft.path();
    const MemoryNeed both = memory_need(options);
    CHECK(both.weight_bytes == alone.weight_bytes + both.draft_weight_bytes);
    CHECK(both.draft_weight_bytes > 0);
    CHECK(both.kv_bytes == alone.kv_bytes * 2);
    CHECK(both.workspace_bytes > alone.workspace_bytes);
    const auto engine = Engine::load(options);
    CHECK(engine->info().kv_bytes + engine->info().draft_kv_bytes <= options.kv_bytes);
    CHECK(engine->info().draft_file_bytes == both.draft_weight_bytes);
}
