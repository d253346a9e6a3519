#include "tools/perplexity/token_score.h"

#include <algorithm>
#include <cmath>

#include "sampling/exponential.h"
#include "sampling/logprobs.h"

namespace quern {

double negative_log_likelihood(std::span<const float> logits, TokenId actual) {
    return log_sum_exp(logits) - static_cast<double>(logits[static_cast<size_t>(actual.value)]);
}

TokenComparison compare_distributions(std::span<const float> base, float least, std::span<const float> logits, TokenId actual) {
    const double base_total = log_sum_exp(base), total = log_sum_exp(logits);
    const auto base_best = std::max_element(base.begin(), base.end()), best = std::max_element(logits.begin(), logits.end());
    // sum of p_base (ln p_base - ln p) = sum of p_base (base - logit) - base_total + total
    const float highest = *base_best;
    double sums[4] = {0, 0, 0, 0}, weights[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < logits.size(); ++i) {
        const float weight = exp_of_negative(base[i] - highest);
        const float difference = weight > 0.0f ? base[i] - logits[i] : 0.0f;
        sums[i % 4] += static_cast<double>(weight) * static_cast<double>(difference);
        weights[i % 4] += static_cast<double>(weight);
    }
    const double mean_difference = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / ((weights[0] + weights[1]) + (weights[2] + weights[3]));
    TokenComparison result;
    const auto at = static_cast<size_t>(actual.value);
    result.base_nll = base_total - static_cast<double>(std::max(base[at], least));
    result.nll = total - static_cast<double>(logits[at]);
    result.kl_divergence = mean_difference - base_total + total;
    result.p_difference = std::exp(-result.nll) - std::exp(-result.base_nll);
    result.same_top = base_best - base.begin() == best - logits.begin();
    return result;
}

void RunningMean::add(double value) noexcept {
    ++n_;
    const double before = value - mean_;
    mean_ += before / static_cast<double>(n_);
    squares_ += before * (value - mean_);
}

double RunningMean::error() const noexcept {
    return n_ < 2 ? 0.0 : std::sqrt(squares_ / static_cast<double>(n_ - 1) / static_cast<double>(n_));
}

}  // namespace quern
