#include "engine/memory_budget.h"

#include <doctest/doctest.h>

#include "engine/tiny_engine_test.h"

using namespace quern;

namespace {

constexpr uint64_t mib = 1 << 20;

/// 64 pages of 1 MiB for a window, for two sequences.
MemoryNeed need() {
    return {.n_ctx = 4096,
            .n_ctx_train = 4096,
            .weight_bytes = 100 * mib,
            .page_bytes = mib,
            .kv_bytes = 64 * mib,
            .useful_kv_bytes = 128 * mib,
            .workspace_bytes = 20 * mib};
}

KvBudget plan(EngineOptions options, uint64_t free_mib) {
    options.n_sequences = 2;
    return plan_kv(options, need(), free_mib * mib);
}

}  // namespace

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
    CHECK(both.page_bytes == alone.page_bytes + both.draft_page_bytes);
    CHECK(both.kv_bytes == alone.kv_bytes * 2);
    CHECK(both.workspace_bytes > alone.workspace_bytes);
    const auto engine = Engine::load(options);
    CHECK(engine->info().kv_bytes + engine->info().draft_kv_bytes <= options.kv_bytes);
    CHECK(engine->info().draft_file_bytes == both.draft_weight_bytes);
}
