#include <cmath>

#include "sampling/filters.h"

namespace quern {

void apply_min_p(std::vector<Candidate>& candidates, float p) {
    if (p <= 0.0f || candidates.size() < 2) return;
    const float best = std::min_element(candidates.begin(), candidates.end(), better)->logit;
    if (!std::isfinite(best)) return;
    const double least = best + std::log(static_cast<double>(p));
    std::erase_if(candidates, [&](const Candidate& each) { return each.logit < least; });
}

}  // namespace quern
