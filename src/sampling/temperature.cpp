#include <cmath>

#include "sampling/filters.h"

namespace quern {

namespace {

// exp(-40) is 4e-18: even a vocabulary full of such tokens has no chance that a double could hold beside 1.
constexpr float negligible = -40.0f;

}  // namespace

TokenId draw(std::span<const Candidate> candidates, float temperature, double unit) {
    const Candidate& best = *std::min_element(candidates.begin(), candidates.end(), better);
    if (!std::isfinite(best.logit)) return {best.token};
    const float scale = 1.0f / temperature;
    const auto weight = [&](const Candidate& each) {
        const float exponent = (each.logit - best.logit) * scale;
        return exponent < negligible ? 0.0 : static_cast<double>(std::exp(exponent));
    };
    double total = 0;
    for (const Candidate& each : candidates) total += weight(each);
    double left = unit * total;
    for (const Candidate& each : candidates) {
        left -= weight(each);
        if (left < 0) return {each.token};
    }
    return {best.token};  // rounding ate the last share
}

}  // namespace quern
