#include <cmath>

#include "sampling/filters.h"

namespace quern {
namespace {

double chance_weight(const Candidate& candidate, float best) { return static_cast<double>(std::exp(candidate.logit - best)); }

}  // namespace

// Sorts only as many of the best as the share needs: portions of growing size, since one or a few tokens nearly always suffice.
void apply_top_p(std::vector<Candidate>& candidates, float p) {
    if (p >= 1.0f || candidates.size() < 2) return;
    const float best = std::min_element(candidates.begin(), candidates.end(), better)->logit;
    if (!std::isfinite(best)) return;
    double total = 0;
    for (const Candidate& each : candidates) total += chance_weight(each, best);
    double sum = 0;
    size_t sorted = 0;
    for (size_t portion = 32; sorted < candidates.size(); portion *= 8) {
        const auto begin = candidates.begin() + static_cast<std::ptrdiff_t>(sorted);
        const auto middle = begin + static_cast<std::ptrdiff_t>(std::min(portion, candidates.size() - sorted));
        if (middle != candidates.end()) std::nth_element(begin, middle, candidates.end(), better);
        std::sort(begin, middle, better);
        for (auto each = begin; each != middle; ++each) {
            sum += chance_weight(*each, best);
            ++sorted;
            if (sum >= static_cast<double>(p) * total) return candidates.resize(sorted);
        }
    }
}

}  // namespace quern
