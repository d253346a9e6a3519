#include "tools/perplexity/token_score.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace quern {

TEST_CASE("the divergence is the mean log ratio under the base") {
    const std::vector<float> base = {1.0f, 0.0f, -2.0f}, other = {0.5f, 0.3f, -1.0f};
    double expected = 0, base_total = 0, total = 0;
    for (size_t i = 0; i < 3; ++i) base_total += std::exp(double{base[i]}), total += std::exp(double{other[i]});
    for (size_t i = 0; i < 3; ++i) {
        const double p = std::exp(double{base[i]}) / base_total, q = std::exp(double{other[i]}) / total;
        expected += p * std::log(p / q);
    }
    const TokenComparison found = compare_distributions(base, -100.0f, other, TokenId{1});
    CHECK(found.kl_divergence == doctest::Approx(expected).epsilon(1e-6));
    CHECK(found.nll == doctest::Approx(-std::log(std::exp(0.3) / total)).epsilon(1e-6));
    CHECK(found.same_top);
}

TEST_CASE("a token that the base tells nothing of has no share, and the least probability") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> base = {0.0f, -infinity}, other = {3.0f, 1.0f};
    const TokenComparison found = compare_distributions(base, -16.0f, other, TokenId{1});
    CHECK(found.base_nll == doctest::Approx(16.0));
    CHECK(found.kl_divergence == doctest::Approx(std::log1p(std::exp(-2.0))).epsilon(1e-6));
}

TEST_CASE("a running mean knows its standard error") {
    RunningMean mean;
    CHECK(mean.error() == 0.0);
    for (const double value : {1.0, 2.0, 4.0, 9.0}) mean.add(value);
    CHECK(mean.mean() == doctest::Approx(4.0));
    CHECK(mean.error() == doctest::Approx(std::sqrt(38.0 / 3.0 / 4.0)));
}

}  // namespace quern
