#include "kernels/moe/routing.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

using namespace quern;

namespace {

struct Choice {
    std::vector<int32_t> experts;
    std::vector<float> weights;
};

Choice choose(const Routing& routing, const std::vector<float>& logits) {
    Choice choice{std::vector<int32_t>(static_cast<size_t>(routing.n_used)), std::vector<float>(static_cast<size_t>(routing.n_used))};
    choose_experts(routing, logits.data(), choice.experts.data(), choice.weights.data());
    return choice;
}

}  // namespace

TEST_CASE("the best experts are chosen, best first, with their share of the softmax over all") {
    const std::vector<float> logits{0.0f, 2.0f, -1.0f, 1.0f};
    const double total = 1 + std::exp(2.0) + std::exp(-1.0) + std::exp(1.0);
    const Choice choice = choose({.n_experts = 4, .n_used = 2}, logits);
    CHECK(choice.experts == std::vector<int32_t>{1, 3});
    CHECK(choice.weights[0] == doctest::Approx(std::exp(2.0) / total));
    CHECK(choice.weights[1] == doctest::Approx(std::exp(1.0) / total));
}

TEST_CASE("normalized weights add up to the factor") {
    const Choice choice = choose({.n_experts = 4, .n_used = 3, .normalize = true, .factor = 2.5f}, {0.0f, 2.0f, -1.0f, 1.0f});
    CHECK(choice.weights[0] + choice.weights[1] + choice.weights[2] == doctest::Approx(2.5));
    CHECK(choice.weights[0] / choice.weights[1] == doctest::Approx(std::exp(1.0)));
}

TEST_CASE("a bias changes the choice but not the weights") {
    const std::vector<float> bias{0.0f, 0.0f, 10.0f, 0.0f};
    const Choice choice =
        choose({.n_experts = 4, .n_used = 2, .scoring = ExpertScoring::sigmoid, .choice_bias = bias.data()}, {0.0f, 2.0f, -1.0f, 1.0f});
    CHECK(choice.experts == std::vector<int32_t>{2, 1});
    CHECK(choice.weights[0] == doctest::Approx(1 / (1 + std::exp(1.0))));
    CHECK(choice.weights[1] == doctest::Approx(1 / (1 + std::exp(-2.0))));
}

TEST_CASE("only the best groups are chosen from: by their best expert, or with a bias by their two best") {
    const std::vector<float> logits{5.0f, -5.0f, 4.0f, 3.0f, 0.0f, 0.0f};
    Routing routing{.n_experts = 6, .n_used = 2, .scoring = ExpertScoring::sigmoid, .n_groups = 3, .n_groups_used = 1};
    CHECK(choose(routing, logits).experts == std::vector<int32_t>{0, 1});
    const std::vector<float> bias(6, 0.0f);
    routing.choice_bias = bias.data();
    CHECK(choose(routing, logits).experts == std::vector<int32_t>{2, 3});
}

TEST_CASE("whatever the logits are, the choice is of different experts within range") {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    for (const std::vector<float>& logits :
         {std::vector<float>{nan, nan, nan, nan}, {inf, inf, -inf, nan}, {-inf, -inf, -inf, -inf}, {3e38f, -3e38f, 0.0f, 3e38f}})
        for (const ExpertScoring scoring : {ExpertScoring::softmax, ExpertScoring::sigmoid}) {
            const Choice choice =
                choose({.n_experts = 4, .n_used = 4, .scoring = scoring, .normalize = true, .n_groups = 2, .n_groups_used = 2}, logits);
            CHECK(std::set<int32_t>(choice.experts.begin(), choice.experts.end()) == std::set<int32_t>{0, 1, 2, 3});
            for (const float weight : choice.weights) CHECK(std::isfinite(weight));
        }
}
