#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>

#include "sampling/candidates.h"

namespace quern {
namespace {

constexpr float least_logprob = -9999.0f;  // what OpenAI's API gives for "very unlikely"

}  // namespace

TokenLogprobs token_logprobs(std::span<const float> logits, TokenId chosen, int n_top) {
    double best = -INFINITY, sum = 0;
    for (const float logit : logits)
        if (logit > best) best = logit;
    for (const float logit : logits)
        if (!std::isnan(logit)) sum += std::exp(logit - best);
    const double log_sum = best + std::log(sum);
    const auto logprob = [&](float logit) {
        const auto value = static_cast<float>(logit - log_sum);
        return std::isnan(value) ? least_logprob : std::clamp(value, least_logprob, 0.0f);
    };
    TokenLogprobs result{.logprob = logprob(logits[static_cast<size_t>(chosen.value)]), .top = {}};
    if (n_top <= 0) return result;
    std::vector<Candidate> candidates;
    fill_candidates(logits, candidates);
    keep_best(candidates, std::min(candidates.size(), static_cast<size_t>(n_top)));
    std::sort(candidates.begin(), candidates.end(), better);
    for (const Candidate& each : candidates) result.top.push_back({{each.token}, logprob(each.logit)});
    return result;
}

}  // namespace quern
