// Typical, top-n-sigma, XTC, dynamic temperature, Mirostat, DRY, the order of stages and min_tokens: each against its formula written
// plainly over a sorted list, and at its edges.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "sampling/chain.h"
#include "sampling/filters.h"

using namespace quern;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(size_t n, unsigned seed, float spread = 3.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> logits(n);
    for (float& each : logits) each = normal(random);
    return logits;
}

std::vector<Candidate> candidates_of(std::span<const float> logits) {
    std::vector<Candidate> candidates;
    fill_candidates(logits, 0, candidates);
    weigh(candidates, 1.0f);
    return candidates;
}

std::set<int32_t> ids(const std::vector<Candidate>& candidates) {
    std::set<int32_t> set;
    for (const Candidate& each : candidates) set.insert(each.token);
    return set;
}

// Softmax in double, by token.
std::vector<double> chances_of(std::span<const float> logits, double temperature = 1.0) {
    double best = -1e300, sum = 0;
    for (const float each : logits) best = std::max<double>(best, each);
    std::vector<double> chances;
    for (const float each : logits) chances.push_back(std::exp((each - best) / temperature));
    for (const double each : chances) sum += each;
    for (double& each : chances) each /= sum;
    return chances;
}

std::vector<int32_t> by_chance(const std::vector<double>& chances) {
    std::vector<int32_t> order(chances.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return chances[size_t(a)] > chances[size_t(b)]; });
    return order;
}

double entropy_of(const std::vector<double>& chances) {
    double sum = 0;
    for (const double each : chances) sum -= each > 0 ? each * std::log(each) : 0;
    return sum;
}

std::set<int32_t> drawn(const SamplingParams& params, std::span<const float> logits, int n = 3000) {
    Sampler sampler(params, {});
    std::set<int32_t> set;
    for (int i = 0; i < n; ++i) set.insert(sampler.sample(logits).value);
    return set;
}

}  // namespace

TEST_CASE("typical sampling leaves those closest to the expected surprise") {
    for (unsigned seed = 1; seed < 20; ++seed)
        for (const float p : {0.1f, 0.5f, 0.9f}) {
            const auto logits = random_logits(400, seed);
            const auto chances = chances_of(logits);
            const double expected = entropy_of(chances);
            std::vector<int32_t> order = by_chance(chances);
            const auto distance = [&](int32_t id) { return std::abs(-std::log(chances[size_t(id)]) - expected); };
            std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return distance(a) < distance(b); });
            std::set<int32_t> wanted;
            double share = 0;
            for (const int32_t id : order) {
                wanted.insert(id);
                share += chances[size_t(id)];
                if (share >= static_cast<double>(p)) break;
            }
            auto candidates = candidates_of(logits), scratch = candidates;
            apply_typical(candidates, p, scratch);
            CHECK(ids(candidates) == wanted);
        }
    auto one = candidates_of(std::vector<float>{1.0f}), scratch = one;
    apply_typical(one, 0.0f, scratch);
    CHECK(one.size() == 1);
    auto equal = candidates_of(std::vector<float>(10, 1.0f));
    apply_typical(equal, 0.35f, scratch);
    CHECK(ids(equal) == std::set<int32_t>{0, 1, 2, 3});
}

TEST_CASE("top_n_sigma leaves the logits within n standard deviations of the best") {
    for (unsigned seed = 1; seed < 20; ++seed)
        for (const float n : {0.1f, 1.0f, 2.5f, 100.0f}) {
            const auto logits = random_logits(300, seed);
            double mean = 0, squares = 0, best = -1e9;
            for (const float each : logits) mean += each / 300.0, best = std::max<double>(best, each);
            for (const float each : logits) squares += (each - mean) * (each - mean);
            const double limit = best - static_cast<double>(n) * std::sqrt(squares / 300);
            std::set<int32_t> wanted;
            for (int32_t i = 0; i < 300; ++i)
                if (logits[size_t(i)] >= limit) wanted.insert(i);
            auto candidates = candidates_of(logits);
            apply_top_n_sigma(candidates, n);
            CHECK(ids(candidates) == wanted);
        }
    auto candidates = candidates_of(std::vector<float>{1, 2, 3});
    for (const float off : {0.0f, -1.0f}) apply_top_n_sigma(candidates, off);
    CHECK(candidates.size() == 3);
    apply_top_n_sigma(candidates, 1e-30f);
    CHECK(ids(candidates) == std::set<int32_t>{2});
}

TEST_CASE("XTC leaves out all likely choices but the last of them") {
    for (unsigned seed = 1; seed < 20; ++seed)
        for (const float threshold : {0.0f, 0.01f, 0.05f, 0.2f, 0.5f, 0.51f}) {
            const auto logits = random_logits(100, seed, 2.0f);
            const auto chances = chances_of(logits);
            const auto order = by_chance(chances);
            size_t n_likely = 0;
            while (n_likely < order.size() && chances[size_t(order[n_likely])] >= static_cast<double>(threshold)) ++n_likely;
            const size_t n_out = threshold > 0.5f || n_likely < 2 ? 0 : n_likely - 1;
            auto candidates = candidates_of(logits);
            apply_xtc(candidates, threshold);
            CHECK(ids(candidates) == std::set<int32_t>(order.begin() + static_cast<std::ptrdiff_t>(n_out), order.end()));
        }
    const std::vector<float> logits{3.0f, 2.5f, 2.0f, -1.0f};
    SamplingParams params{.seed = 1, .xtc_probability = 1.0f, .xtc_threshold = 0.15f};
    CHECK(drawn(params, logits) == std::set<int32_t>{2, 3});
    params.temperature = 0;  // the likeliest of what is left
    CHECK(drawn(params, logits) == std::set<int32_t>{2});
    params.xtc_probability = 0.5f;
    CHECK(drawn(params, logits) == std::set<int32_t>{0, 2});
}

TEST_CASE("the dynamic temperature follows the entropy between its ends") {
    const auto flat = candidates_of(std::vector<float>(8, 0.5f)), sharp = candidates_of(std::vector<float>{60, 0, 0, 0});
    const SamplingParams params{.temperature = 1.0f, .dynatemp_range = 0.5f};
    CHECK(dynamic_temperature(flat, params) == doctest::Approx(1.5));
    CHECK(dynamic_temperature(sharp, params) == doctest::Approx(0.5));
    const auto logits = random_logits(50, 3);
    const auto candidates = candidates_of(logits);
    const double share = entropy_of(chances_of(logits)) / std::log(50.0);
    for (const float exponent : {0.5f, 1.0f, 3.0f})
        CHECK(dynamic_temperature(candidates, {.temperature = 0.7f, .dynatemp_range = 0.2f, .dynatemp_exponent = exponent}) ==
              doctest::Approx(0.5 + 0.4 * std::pow(share, static_cast<double>(exponent))));
    CHECK(dynamic_temperature(flat, {.temperature = 0.3f, .dynatemp_range = 2.0f}) == doctest::Approx(2.3));  // never below 0
    CHECK(dynamic_temperature(sharp, {.temperature = 0.3f, .dynatemp_range = 2.0f}) == doctest::Approx(0.0));
    CHECK(dynamic_temperature(candidates_of(std::vector<float>{1}), params) == doctest::Approx(0.5));
    CHECK(dynamic_temperature(flat, {.temperature = 0.8f}) == 0.8f);
}

TEST_CASE("Mirostat 2 cuts at the limit and corrects it by the surprise that came") {
    const auto logits = random_logits(200, 6);
    const auto chances = chances_of(logits);
    const auto order = by_chance(chances);
    Mirostat mirostat({.mirostat = 2, .mirostat_tau = 2.0f, .mirostat_eta = 0.3f});
    double limit = 4.0;
    for (int step = 0; step < 40; ++step) {
        std::vector<int32_t> wanted{order[0]};
        for (size_t i = 1; i < order.size() && -std::log2(chances[size_t(order[i])]) <= limit; ++i) wanted.push_back(order[i]);
        auto candidates = candidates_of(logits), scratch = candidates;
        mirostat.apply(candidates, scratch);
        CHECK(ids(candidates) == std::set<int32_t>(wanted.begin(), wanted.end()));
        double total = 0;
        for (const int32_t id : wanted) total += chances[size_t(id)];
        const int32_t chosen = wanted[static_cast<size_t>(step) % wanted.size()];
        mirostat.chosen(candidates, {chosen});
        limit -= static_cast<double>(0.3f) * (-std::log2(chances[size_t(chosen)] / total) - 2.0);
    }
}

TEST_CASE("Mirostat 1 cuts where a Zipf distribution of the estimated exponent reaches the limit") {
    const auto logits = random_logits(500, 8);
    const auto chances = chances_of(logits);
    const auto order = by_chance(chances);
    double products = 0, squares = 0;
    for (size_t i = 0; i < 99; ++i) {
        const double t = std::log((double(i) + 2) / (double(i) + 1));
        products += t * std::log(chances[size_t(order[i])] / chances[size_t(order[i + 1])]);
        squares += t * t;
    }
    for (const float tau : {0.5f, 2.0f, 4.0f}) {
        const double exponent = products / squares, epsilon = exponent - 1;
        const double k = std::pow(epsilon * std::pow(2.0, 2.0 * static_cast<double>(tau)) / (1 - std::pow(500.0, -epsilon)), 1 / exponent);
        const auto n = static_cast<size_t>(std::clamp(k, 1.0, 500.0));
        Mirostat mirostat({.mirostat = 1, .mirostat_tau = tau});
        auto candidates = candidates_of(logits), scratch = candidates;
        mirostat.apply(candidates, scratch);
        CHECK(ids(candidates) == std::set<int32_t>(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n)));
    }
}

TEST_CASE("Mirostat holds the mean surprise near its target, and survives flat and certain distributions") {
    const auto logits = random_logits(2000, 5);
    for (const int version : {1, 2}) {
        const SamplingParams params{.seed = 3, .mirostat = version, .mirostat_tau = 3.0f, .mirostat_eta = 0.1f};
        Mirostat mirostat(params);
        std::mt19937 random(1);
        double sum = 0;
        for (int i = 0; i < 3000; ++i) {
            auto left = candidates_of(logits), scratch = left;
            mirostat.apply(left, scratch);
            const TokenId token = draw(left, 1.0f, static_cast<double>(random()) / 4294967296.0);
            for (const Candidate& each : left)
                if (each.token == token.value) sum -= std::log2(static_cast<double>(each.weight) / total_weight(left));
            mirostat.chosen(left, token);
        }
        CHECK(std::abs(sum / 3000 - 3.0) < 0.1);
        Sampler sampler(params, {});
        for (const auto& edge :
             {std::vector<float>(50, 1.0f), std::vector<float>{90, 0, 0}, std::vector<float>{1}, std::vector<float>{-infinity, 2}}) {
            const TokenId token = sampler.sample(edge);
            CHECK(token.value >= 0);
            CHECK(static_cast<size_t>(token.value) < edge.size());
        }
    }
    Sampler greedy({.temperature = 0, .mirostat = 2}, {});
    CHECK(greedy.sample(logits).value == by_chance(chances_of(logits))[0]);
}

namespace {

// DRY by its definition: for every earlier place, count backwards how many tokens agree with the end.
std::map<int32_t, size_t> slow_repetitions(const std::vector<int32_t>& text, const std::set<int32_t>& breakers) {
    std::map<int32_t, size_t> longest;
    for (size_t at = 1; at < text.size(); ++at) {  // text[at] follows text[0, at)
        if (breakers.count(text[at])) continue;
        size_t length = 0;
        while (length < at && text[at - 1 - length] == text[text.size() - 1 - length] && !breakers.count(text[at - 1 - length])) ++length;
        if (length > 0) longest[text[at]] = std::max(longest[text[at]], length);
    }
    return longest;
}

}  // namespace

TEST_CASE("DRY punishes what prolongs a repetition, by its length, and not across breakers") {
    std::mt19937 random(2);
    for (int round = 0; round < 200; ++round) {
        const int allowed = static_cast<int>(random() % 4), last_n = random() % 2 ? -1 : static_cast<int>(random() % 40);
        Dry dry({.dry_multiplier = 0.8f,
                 .dry_base = 1.5f,
                 .dry_allowed_length = allowed,
                 .dry_penalty_last_n = last_n,
                 .dry_sequence_breakers = {"!"}});
        std::vector<int32_t> text;
        for (int i = 0; i < 60; ++i) {
            text.push_back(static_cast<int32_t>(random() % 4 ? random() % 3 : random() % 6));
            dry.accept({text.back()}, text.back() == 5 ? "a!b" : "x");
        }
        if (last_n >= 0) text.erase(text.begin(), text.end() - std::min<std::ptrdiff_t>(last_n, 60));
        std::vector<float> logits(6, 1.0f), expected = logits;
        for (const auto& [token, length] : slow_repetitions(text, {5}))
            if (length >= static_cast<size_t>(std::max(1, allowed)))
                expected[size_t(token)] -=
                    static_cast<float>(static_cast<double>(0.8f) * std::pow(1.5, static_cast<double>(length) - allowed));
        dry.apply(logits);
        for (size_t i = 0; i < 6; ++i) CHECK(logits[i] == doctest::Approx(expected[i]));
    }
}

TEST_CASE("a breaker may be spread over tokens") {
    const auto penalty = [](const char* second) {
        Dry dry({.dry_multiplier = 1.0f, .dry_allowed_length = 1, .dry_sequence_breakers = {"END"}});
        for (const auto& [token, text] :
             std::vector<std::pair<int32_t, const char*>>{{1, "E"}, {2, second}, {3, "x"}, {1, "E"}, {2, second}})
            dry.accept({token}, text);
        std::vector<float> logits(4);
        dry.apply(logits);
        return -logits[3];
    };
    CHECK(penalty("ND") == 0.0f);
    CHECK(penalty("no") > 0.0f);
}

TEST_CASE("a repetition of thousands of tokens is punished with a number") {
    Dry dry({.dry_multiplier = 5.0f, .dry_base = 4.0f, .dry_sequence_breakers = {}});
    for (int i = 0; i < 20000; ++i) dry.accept({i % 2}, "");
    std::vector<float> logits(2, 1.0f);
    dry.apply(logits);
    CHECK(std::isfinite(logits[0]));
    CHECK(logits[0] < -1e29f);  // what comes after the last one
    CHECK(logits[1] == 1.0f);
}

TEST_CASE("stages run in the order that is asked for") {
    const std::vector<float> logits{2.0f, 1.5f, 0.0f};
    SamplingParams params{.temperature = 100.0f, .top_p = 0.5f, .seed = 1};
    CHECK(drawn(params, logits) == std::set<int32_t>{0});  // top_p before the heat
    params.samplers = parse_samplers("temperature;top_p");
    CHECK(drawn(params, logits) == std::set<int32_t>{0, 1});  // all are alike by then
    params.samplers = {};
    CHECK(drawn(params, logits) == std::set<int32_t>{0, 1, 2});  // nothing is narrowed
    SamplingParams late{.top_k = 2, .presence_penalty = 5.0f, .seed = 1};
    late.samplers = parse_samplers("top_k;penalties");
    Sampler sampler(late, {});
    for (int i = 0; i < 40; ++i) sampler.accept({0});
    std::set<int32_t> set;
    for (int i = 0; i < 200; ++i) set.insert(sampler.sample(logits).value);
    CHECK(set.count(2) == 0);  // the penalty comes too late for the third to be among the two best
    CHECK(set.count(1) == 1);
}

TEST_CASE("the names of stages are read as llama.cpp's, and wrong ones refused with the right ones") {
    CHECK(to_string(default_sampler_order()) == "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature");
    CHECK(parse_samplers(to_string(default_sampler_order())) == default_sampler_order());
    CHECK(parse_samplers("top-k;;temp;typical_p") == std::vector{SamplerStage::top_k, SamplerStage::temperature, SamplerStage::typical_p});
    CHECK(parse_samplers("").empty());
    CHECK_THROWS_AS(parse_samplers("top_k;no_such"), InvalidInput);
    std::string many;
    for (int i = 0; i < 100000; ++i) many += "top_k;";
    SamplingParams params;
    params.samplers = parse_samplers(many);
    CHECK_THROWS_AS(validate(params), InvalidInput);
}

TEST_CASE("new parameters that no sampler can honour are refused by name") {
    const auto field_of = [](SamplingParams params) -> std::string {
        try {
            validate(params);
        } catch (const InvalidInput& error) {
            return error.field();
        }
        return "";
    };
    const float nan_value = std::nanf("");
    CHECK(field_of({.typical_p = 1.5f}) == "typical_p");
    CHECK(field_of({.top_n_sigma = nan_value}) == "top_n_sigma");
    CHECK(field_of({.xtc_probability = -0.1f}) == "xtc_probability");
    CHECK(field_of({.xtc_threshold = 2.0f}) == "xtc_threshold");
    CHECK(field_of({.dynatemp_range = -1.0f}) == "dynatemp_range");
    CHECK(field_of({.dynatemp_exponent = infinity}) == "dynatemp_exponent");
    CHECK(field_of({.mirostat = 3}) == "mirostat");
    CHECK(field_of({.mirostat_tau = nan_value}) == "mirostat_tau");
    CHECK(field_of({.mirostat_eta = 1.5f}) == "mirostat_eta");
    CHECK(field_of({.dry_multiplier = nan_value}) == "dry_multiplier");
    CHECK(field_of({.dry_base = 0.5f}) == "dry_base");
    CHECK(field_of({.dry_allowed_length = -1}) == "dry_allowed_length");
    CHECK(field_of({.dry_penalty_last_n = -2}) == "dry_penalty_last_n");
    CHECK(field_of({.dry_sequence_breakers = {""}}) == "dry_sequence_breakers");
    CHECK(field_of({.dry_sequence_breakers = std::vector<std::string>(65, "x")}) == "dry_sequence_breakers");
    CHECK(field_of({.min_tokens = -1}) == "min_tokens");
}

TEST_CASE("hostile logits never crash any sampler, in any order") {
    const float nan_value = std::nanf("");
    const std::vector<std::vector<float>> hostile{
        {nan_value, nan_value}, {-infinity, -infinity},      {infinity, 1.0f, nan_value}, {nan_value, 1.0f}, {3e38f, -3e38f}, {0.0f},
        {-3e38f, -3e38f},       std::vector<float>(40, 0.0f)};
    std::mt19937 random(9);
    for (int round = 0; round < 500; ++round) {
        const auto unit = [&] { return static_cast<float>(random() % 1001) / 1000.0f; };
        SamplingParams params{.temperature = random() % 3 ? unit() * 3 : 0.0f,
                              .top_k = static_cast<int>(random() % 4),
                              .top_p = unit(),
                              .min_p = unit(),
                              .seed = static_cast<uint64_t>(round)};
        params.typical_p = unit();
        params.top_n_sigma = unit() * 2 - 0.5f;
        params.xtc_probability = unit();
        params.xtc_threshold = unit();
        params.dynatemp_range = random() % 2 ? unit() : 0.0f;
        params.mirostat = static_cast<int>(random() % 4) % 3;
        params.mirostat_tau = unit() * 10;
        params.dry_multiplier = unit();
        params.dry_allowed_length = static_cast<int>(random() % 3);
        std::shuffle(params.samplers.begin(), params.samplers.end(), random);
        params.samplers.resize(random() % (params.samplers.size() + 1));
        validate(params);
        Sampler sampler(params, {});
        for (int i = 0; i < 10; ++i) {
            const auto& logits = hostile[random() % hostile.size()];
            const TokenId token = sampler.sample(logits);
            REQUIRE(token.value >= 0);
            REQUIRE(static_cast<size_t>(token.value) < logits.size());
            sampler.accept(token);
        }
    }
}
