#include "convert/fit.h"

#include <doctest/doctest.h>

#include <random>

using namespace quern;

namespace {

using Tensors = std::vector<std::vector<FitChoice>>;

double cost_of(const Tensors& tensors, const std::vector<size_t>& chosen) {
    double cost = 0;
    for (size_t t = 0; t < tensors.size(); ++t) cost += tensors[t][chosen[t]].cost;
    return cost;
}

uint64_t bytes_of(const Tensors& tensors, const std::vector<size_t>& chosen) {
    uint64_t bytes = 0;
    for (size_t t = 0; t < tensors.size(); ++t) bytes += tensors[t][chosen[t]].bytes;
    return bytes;
}

/// The least cost of all combinations.
double best_cost(const Tensors& tensors, uint64_t budget) {
    double best = 1e300;
    std::vector<size_t> chosen(tensors.size());
    for (;;) {
        if (bytes_of(tensors, chosen) <= budget) best = std::min(best, cost_of(tensors, chosen));
        size_t t = 0;
        while (t < chosen.size() && ++chosen[t] == tensors[t].size()) chosen[t++] = 0;
        if (t == chosen.size()) return best;
    }
}

Tensors random_tensors(std::mt19937& random, size_t n) {
    Tensors tensors(n);
    for (auto& choices : tensors)
        for (uint64_t bytes = 20; bytes <= 80; bytes += 10 + random() % 8) {
            const double noise = 0.7 + 0.6 * static_cast<double>(random() % 1000) / 1000;
            choices.push_back({.bytes = bytes, .cost = noise * 1e4 / static_cast<double>(bytes * bytes * (1 + random() % 3))});
        }
    return tensors;
}

}  // namespace

TEST_CASE("the choice keeps to the budget and comes near the best of all combinations") {
    std::mt19937 random(3);
    double sum = 0, best = 0;
    for (int i = 0; i < 50; ++i) {
        const Tensors tensors = random_tensors(random, 5);
        const uint64_t budget = 150 + random() % 200;
        const auto chosen = choose_within(tensors, budget);
        REQUIRE(chosen);
        CHECK(bytes_of(tensors, *chosen) <= budget);
        sum += cost_of(tensors, *chosen);
        best += best_cost(tensors, budget);
    }
    CHECK(sum < 1.1 * best);
}

TEST_CASE("a larger budget never costs more, and an endless one takes the best of each") {
    std::mt19937 random(4);
    const Tensors tensors = random_tensors(random, 8);
    double before = 1e300;
    for (uint64_t budget = least_bytes(tensors); budget < 700; budget += 7) {
        const double cost = cost_of(tensors, *choose_within(tensors, budget));
        CHECK(cost <= before * 1.05);
        before = cost;
    }
    CHECK(cost_of(tensors, *choose_within(tensors, 1 << 20)) == doctest::Approx(best_cost(tensors, 1 << 20)));
}

TEST_CASE("nothing is chosen when even the smallest formats are too large") {
    const Tensors tensors{{{.bytes = 10, .cost = 1}, {.bytes = 5, .cost = 2}}, {{.bytes = 7, .cost = 1}}};
    CHECK(least_bytes(tensors) == 12);
    CHECK(!choose_within(tensors, 11));
    CHECK(*choose_within(tensors, 12) == std::vector<size_t>{1, 0});
    CHECK(*choose_within(tensors, 17) == std::vector<size_t>{0, 0});
}

TEST_CASE("choices that cost more and are no smaller are never taken") {
    const Tensors tensors{{{.bytes = 5, .cost = 2}, {.bytes = 8, .cost = 3}, {.bytes = 5, .cost = 4}, {.bytes = 9, .cost = 1}}};
    CHECK(*choose_within(tensors, 8) == std::vector<size_t>{0});
    CHECK(*choose_within(tensors, 100) == std::vector<size_t>{3});
}
