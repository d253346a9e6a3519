#include "graph/memory_plan.h"

#include <doctest/doctest.h>

#include <random>

using namespace quern;

namespace {

bool alive_together(const Value& a, const Value& b) { return a.first_step <= b.last_step && b.first_step <= a.last_step; }

bool share_bytes(const Value& a, const Value& b, int64_t n_rows) {
    const auto end = [&](const Value& value) { return value.offset + static_cast<uint64_t>(value.n_cols * n_rows) * sizeof(float); };
    return a.offset < end(b) && b.offset < end(a);
}

}  // namespace

TEST_CASE("values that are alive at the same time never share a byte") {
    std::mt19937 random(11);
    for (int round = 0; round < 200; ++round) {
        Plan plan;
        for (int i = 0; i < 30; ++i) {
            const int first = static_cast<int>(random() % 20);
            plan.values.push_back({.n_cols = 1 + static_cast<int64_t>(random() % 500),
                                   .first_step = first,
                                   .last_step = first + static_cast<int>(random() % 6)});
        }
        plan_memory(plan, 7, 3);
        for (size_t a = 0; a < plan.values.size(); ++a) {
            CHECK(plan.values[a].offset % 64 == 0);
            CHECK(plan.values[a].offset + static_cast<uint64_t>(plan.values[a].n_cols) * 7 * sizeof(float) <= plan.workspace_bytes);
            for (size_t b = 0; b < a; ++b)
                if (alive_together(plan.values[a], plan.values[b])) CHECK(!share_bytes(plan.values[a], plan.values[b], 7));
        }
    }
}

TEST_CASE("a chain of equal values takes the room of two") {
    Plan plan;
    for (int i = 0; i < 10; ++i) plan.values.push_back({.n_cols = 64, .first_step = i, .last_step = i + 1});
    plan_memory(plan, 4, 1);
    CHECK(plan.workspace_bytes == 2 * 64 * 4 * sizeof(float));
}

TEST_CASE("values of output rows are sized by the outputs") {
    Plan plan;
    plan.values.push_back({.n_cols = 16, .output_rows = true, .first_step = 0, .last_step = 0});
    plan_memory(plan, 100, 2);
    CHECK(plan.workspace_bytes == 16 * 2 * sizeof(float));
}
