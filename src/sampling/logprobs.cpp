#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sampling/candidates.h"
#include "sampling/exponential.h"

namespace quern {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float least_logprob = -9999.0f;  // what OpenAI's API gives for "very unlikely"

}  // namespace

double log_sum_exp(std::span<const float> logits) {
    float best = -infinity;
    for (const float logit : logits) best = logit > best ? logit : best;
    double sums[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < logits.size(); ++i) sums[i % 4] += static_cast<double>(exp_of_negative(logits[i] - best));
    return static_cast<double>(best) + std::log((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

TokenLogprobs token_logprobs(std::span<const float> logits, TokenId chosen, int n_top) {
    const double log_of_all = log_sum_exp(logits);
    const auto logprob = [&](float logit) {
        const auto value = static_cast<float>(static_cast<double>(logit) - log_of_all);
        return std::isnan(value) ? least_logprob : std::clamp(value, least_logprob, 0.0f);
    };
    TokenLogprobs result{.logprob = logprob(logits[static_cast<size_t>(chosen.value)]), .top = {}};
    if (n_top <= 0) return result;
    std::vector<Candidate> candidates;
    fill_candidates(logits, n_top, candidates);
    std::sort(candidates.begin(), candidates.end(), better);
    for (const Candidate& each : candidates) result.top.push_back({{each.token}, logprob(each.logit)});
    return result;
}

}  // namespace quern
