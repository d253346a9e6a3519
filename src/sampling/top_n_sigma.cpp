// Those whose logits are within n standard deviations of the best. Source: Tang et al. 2024 (top-n-sigma).
#include <algorithm>
#include <cmath>

#include "sampling/filters.h"

namespace quern {

void apply_top_n_sigma(std::vector<Candidate>& candidates, float n) {
    if (!(n > 0.0f) || candidates.size() < 2) return;
    double sum = 0, squares = 0;
    float best = candidates.front().logit;
    for (const Candidate& each : candidates) {
        sum += static_cast<double>(each.logit);
        best = std::max(best, each.logit);
    }
    const double mean = sum / static_cast<double>(candidates.size());
    for (const Candidate& each : candidates) squares += (static_cast<double>(each.logit) - mean) * (static_cast<double>(each.logit) - mean);
    const double limit = static_cast<double>(best) - static_cast<double>(n) * std::sqrt(squares / static_cast<double>(candidates.size()));
    std::erase_if(candidates, [&](const Candidate& each) { return each.logit < best && !(static_cast<double>(each.logit) >= limit); });
}

}  // namespace quern
