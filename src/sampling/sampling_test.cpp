// Each sampler against a plain version of itself, and the chain as a whole.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "base/error.h"
#include "sampling/chain.h"
#include "sampling/exponential.h"
#include "sampling/filters.h"
#include "sampling/logprobs.h"

using namespace quern;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan_value = std::nanf("");

std::vector<float> random_logits(size_t n, unsigned seed, float spread = 4.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> logits(n);
    for (float& each : logits) each = normal(random);
    return logits;
}

std::vector<Candidate> candidates_of(std::span<const float> logits, int k = 0) {
    std::vector<Candidate> candidates;
    fill_candidates(logits, k, candidates);
    if (!candidates.empty()) weigh(candidates, 1.0f);
    return candidates;
}

std::set<int32_t> ids(const std::vector<Candidate>& candidates) {
    std::set<int32_t> set;
    for (const Candidate& each : candidates) set.insert(each.token);
    return set;
}

std::vector<Candidate> sorted(std::vector<Candidate> candidates) {
    std::sort(candidates.begin(), candidates.end(), better);
    return candidates;
}

std::vector<double> softmax(const std::vector<Candidate>& candidates) {
    std::vector<double> chances;
    double best = -1e300, sum = 0;
    for (const Candidate& each : candidates) best = std::max<double>(best, each.logit);
    for (const Candidate& each : candidates) sum += std::exp(each.logit - best);
    for (const Candidate& each : candidates) chances.push_back(std::exp(each.logit - best) / sum);
    return chances;
}

}  // namespace

TEST_CASE("the exponential is within 1 unit in the last place, and total") {
    double worst = 0;
    for (float x = -87.0f; x <= 0.0f; x += 0.000171f) {
        const double expected = std::exp(static_cast<double>(x));
        int exponent;
        std::frexp(expected, &exponent);
        worst = std::max(worst, std::abs(static_cast<double>(exp_of_negative(x)) - expected) / std::ldexp(1.0, exponent - 24));
    }
    CHECK(worst < 1.0);
    CHECK(exp_of_negative(0.0f) == 1.0f);
    for (const float x : {-87.5f, -3e38f, -infinity, nan_value}) CHECK(exp_of_negative(x) == 0.0f);
}

TEST_CASE("top_k leaves the k best, by id, the lower ids among equals") {
    std::vector<float> logits = random_logits(5000, 3);
    std::vector<float> stepped = logits, rising = logits, falling = logits;
    for (float& each : stepped) each = std::round(each);
    std::sort(rising.begin(), rising.end());
    std::sort(falling.begin(), falling.end(), std::greater<>());
    for (const std::vector<float>& each : {logits, stepped, rising, falling, std::vector<float>(5000, 1.0f)})
        for (const int k : {1, 2, 40, 999, 4999, 5000, 9000}) {
            auto expected = sorted(candidates_of(each));
            expected.resize(std::min<size_t>(expected.size(), static_cast<size_t>(k)));
            const auto result = candidates_of(each, k);
            CHECK(ids(result) == ids(expected));
            CHECK(std::is_sorted(result.begin(), result.end(), [](const Candidate& x, const Candidate& y) { return x.token < y.token; }));
        }
}

TEST_CASE("tokens without a chance are no candidates") {
    CHECK(ids(candidates_of(std::vector<float>{nan_value, 1.0f, -infinity, 2.0f}, 3)) == std::set<int32_t>{1, 3});
    CHECK(ids(candidates_of(std::vector<float>{nan_value, 1.0f, -infinity, 2.0f})) == std::set<int32_t>{1, 3});
    CHECK(candidates_of(std::vector<float>{nan_value, -infinity}).empty());
}

TEST_CASE("top_p leaves the fewest of the best that make up the share") {
    for (const float p : {0.0f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f})
        for (const float spread : {0.0f, 0.01f, 1.0f, 6.0f, 60.0f}) {
            auto candidates = candidates_of(random_logits(3000, 9, spread)), scratch = candidates;
            auto expected = sorted(candidates);
            const double total = total_weight(candidates);
            double sum = 0;
            size_t n = 0;
            while (n < expected.size() && (n == 0 || sum < static_cast<double>(p) * total))
                sum += static_cast<double>(expected[n++].weight);
            apply_top_p(candidates, p, scratch);
            CHECK(candidates.size() + 1 >= n);  // one more or less where the sums round differently
            CHECK(candidates.size() <= n + 1);
            expected.resize(candidates.size());
            CHECK(ids(candidates) == ids(expected));
        }
}

TEST_CASE("top_p of candidates made to defeat its pivots takes no time") {
    // Organ pipes: the median of the first, middle and last is close to an end at every step.
    std::vector<float> logits(150'000);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = 1e-5f * static_cast<float>(std::min(i, logits.size() - i));
    auto candidates = candidates_of(logits), scratch = candidates;
    apply_top_p(candidates, 0.5f, scratch);
    CHECK(candidates.size() > 40'000);
    CHECK(candidates.size() < 75'000);
}

TEST_CASE("min_p leaves those with a share of the best one's chance") {
    auto candidates = candidates_of(random_logits(500, 4));
    const auto all = sorted(candidates);
    apply_min_p(candidates, 0.05f);
    for (const Candidate& each : all)
        if (std::abs(std::exp(each.logit - all.front().logit) - 0.05) > 1e-4)
            CHECK((ids(candidates).count(each.token) == 1) == (std::exp(each.logit - all.front().logit) > 0.05));
}

TEST_CASE("penalties follow their formulas over the last tokens only") {
    Penalties penalties({.repeat_penalty = 2.0f, .repeat_last_n = 3, .presence_penalty = 0.5f, .frequency_penalty = 0.25f});
    for (const int32_t token : {0, 1, 2, 2, 3}) penalties.accept({token});  // remembers 2, 2, 3
    std::vector<float> logits{1, 1, 1, -1, 1};
    penalties.apply(logits);
    CHECK(logits[0] == 1.0f);
    CHECK(logits[1] == 1.0f);
    CHECK(logits[2] == doctest::Approx(0.5 - 2 * 0.25 - 0.5));
    CHECK(logits[3] == doctest::Approx(-2.0 - 0.25 - 0.5));
    CHECK(logits[4] == 1.0f);
}

TEST_CASE("penalties remember what a plain recount of the window finds") {
    for (const int last_n : {1, 5, 64, -1}) {
        Penalties penalties({.repeat_last_n = last_n, .presence_penalty = 1000.0f, .frequency_penalty = 1.0f});
        std::mt19937 random(4);
        std::vector<int32_t> history;
        for (int step = 0; step < 500; ++step) {
            history.push_back(static_cast<int32_t>(random() % 12));
            penalties.accept({history.back()});
            std::vector<float> logits(12), expected(12);
            const size_t begin =
                last_n < 0 || history.size() < static_cast<size_t>(last_n) ? 0 : history.size() - static_cast<size_t>(last_n);
            for (size_t i = begin; i < history.size(); ++i) {
                float& each = expected[static_cast<size_t>(history[i])];
                each -= each == 0.0f ? 1001.0f : 1.0f;
            }
            penalties.apply(logits);
            REQUIRE(logits == expected);
        }
    }
}

TEST_CASE("without a chance for any token, the lowest allowed id is chosen") {
    const std::vector<TokenId> never{{1}, {0}, {7}};
    for (const float temperature : {0.0f, 1.0f}) {
        Sampler sampler({.temperature = temperature, .seed = 1}, never);
        CHECK(sampler.sample(std::vector<float>(5, -infinity)) == TokenId{2});
        CHECK(sampler.sample(std::vector<float>{9.0f, 9.0f, nan_value, nan_value}) == TokenId{2});
        CHECK(sampler.sample(std::vector<float>{9.0f, 9.0f}) == TokenId{0});  // nothing is allowed
    }
}

TEST_CASE("temperature 0 takes the likeliest, and the lower id among equals") {
    Sampler sampler({.temperature = 0}, {});
    CHECK(sampler.sample(std::vector<float>{0, 5, 5, 1}) == TokenId{1});
    CHECK(sampler.sample(std::vector<float>{nan_value, -3, -2}) == TokenId{2});
    CHECK(sampler.sample(std::vector<float>{-infinity, -3, infinity}) == TokenId{2});
}

TEST_CASE("a bias moves the choice and forbids tokens") {
    Sampler sampler({.temperature = 0, .logit_bias = {{{0}, 10.0f}, {{1}, -infinity}, {{77}, 5.0f}}}, {});
    CHECK(sampler.sample(std::vector<float>{0, 9, 3}) == TokenId{0});
}

TEST_CASE("tokens that are never sampled are not, whatever their logit") {
    const std::vector<TokenId> never{{1}, {3}};
    for (const float temperature : {0.0f, 1.0f}) {
        Sampler sampler({.temperature = temperature, .seed = 1}, never);
        for (int i = 0; i < 50; ++i) {
            const TokenId token = sampler.sample(std::vector<float>{0, 50, 1, 90, 2});
            CHECK(token != TokenId{1});
            CHECK(token != TokenId{3});
        }
    }
}

TEST_CASE("draws have the chances of the softmax") {
    const std::vector<float> logits{0.0f, 1.0f, 2.0f, -1.0f};
    const std::vector<double> chances = softmax(candidates_of(logits));
    Sampler sampler({.seed = 42}, {});
    std::vector<int> counts(4);
    constexpr int n = 40000;
    for (int i = 0; i < n; ++i) ++counts[static_cast<size_t>(sampler.sample(logits).value)];
    for (size_t i = 0; i < 4; ++i) CHECK(std::abs(counts[i] / double(n) - chances[i]) < 4 * std::sqrt(chances[i] * (1 - chances[i]) / n));
}

TEST_CASE("temperature sharpens and flattens") {
    const std::vector<float> logits{0.0f, 1.0f};
    for (const float temperature : {0.25f, 4.0f}) {
        Sampler sampler({.temperature = temperature, .seed = 7}, {});
        int ones = 0;
        for (int i = 0; i < 20000; ++i) ones += sampler.sample(logits).value;
        CHECK(std::abs(ones / 20000.0 - 1 / (1 + std::exp(-1 / static_cast<double>(temperature)))) < 0.015);
    }
}

TEST_CASE("a seed repeats its tokens, here and on every platform") {
    const std::vector<float> logits = random_logits(1000, 1);
    const auto answer = [&](std::optional<uint64_t> seed) {
        Sampler sampler({.temperature = 1.5f, .top_k = 200, .top_p = 0.98f, .seed = seed}, {});
        std::vector<int32_t> tokens;
        for (int i = 0; i < 20; ++i) tokens.push_back(sampler.sample(logits).value);
        return tokens;
    };
    CHECK(answer(5) == answer(5));
    std::vector<float> ramp(50);
    for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i * 37 % 50) * 0.125f;
    Sampler sampler({.temperature = 1.25f, .top_p = 0.9f, .min_p = 0.01f, .seed = 2024}, {});
    std::vector<int32_t> tokens;
    for (int i = 0; i < 12; ++i) tokens.push_back(sampler.sample(ramp).value);
    CHECK(tokens == std::vector<int32_t>{28, 4, 12, 4, 36, 27, 5, 27, 8, 20, 24, 36});  // as NumPy computes them in double
    CHECK(answer(5) != answer(6));
    CHECK(answer(std::nullopt) != answer(std::nullopt));
}

TEST_CASE("logits that are no numbers never crash the chain") {
    const std::vector<std::vector<float>> hostile{
        {nan_value, nan_value}, {-infinity, -infinity}, {infinity, infinity, nan_value}, {nan_value, 1.0f}, {3e38f, -3e38f}};
    for (const std::vector<float>& logits : hostile)
        for (const float temperature : {0.0f, 1e-6f, 1.0f, 100.0f}) {
            Sampler sampler(
                {.temperature = temperature, .top_k = 1 + static_cast<int>(logits.size()), .top_p = 0.5f, .min_p = 0.1f, .seed = 3}, {});
            const TokenId token = sampler.sample(logits);
            CHECK(token.value >= 0);
            CHECK(static_cast<size_t>(token.value) < logits.size());
        }
}

TEST_CASE("log probabilities are those of the raw logits") {
    const std::vector<float> logits = random_logits(300, 8);
    const auto all = sorted(candidates_of(logits));
    const std::vector<double> chances = softmax(all);
    const TokenLogprobs result = token_logprobs(logits, {all[7].token}, 5);
    CHECK(result.logprob == doctest::Approx(std::log(chances[7])));
    REQUIRE(result.top.size() == 5);
    for (size_t i = 0; i < 5; ++i) {
        CHECK(result.top[i].token.value == all[i].token);
        CHECK(result.top[i].logprob == doctest::Approx(std::log(chances[i])));
    }
    CHECK(token_logprobs(std::vector<float>{0.0f, -infinity, nan_value}, {1}, 3).logprob == -9999.0f);
}

TEST_CASE("parameters that no sampler can honour are refused by name") {
    const auto field_of = [](SamplingParams params) -> std::string {
        try {
            validate(params);
        } catch (const InvalidInput& error) {
            return error.field();
        }
        return "";
    };
    CHECK(field_of({}) == "");
    CHECK(field_of({.temperature = nan_value}) == "temperature");
    CHECK(field_of({.temperature = -0.1f}) == "temperature");
    CHECK(field_of({.temperature = infinity}) == "temperature");
    CHECK(field_of({.top_k = -1}) == "top_k");
    CHECK(field_of({.top_p = 1.01f}) == "top_p");
    CHECK(field_of({.min_p = nan_value}) == "min_p");
    CHECK(field_of({.repeat_penalty = 0.0f}) == "repeat_penalty");
    CHECK(field_of({.presence_penalty = infinity}) == "presence_penalty");
    CHECK(field_of({.frequency_penalty = nan_value}) == "frequency_penalty");
    CHECK(field_of({.logit_bias = {{{1}, nan_value}}}) == "logit_bias");
}
