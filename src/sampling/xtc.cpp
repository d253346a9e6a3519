// "Exclude top choices": sometimes all but the least likely of the likely ones are left out. Source: Weidmann 2024 (XTC).
#include <algorithm>

#include "sampling/filters.h"

namespace quern {

void apply_xtc(std::vector<Candidate>& candidates, float threshold) {
    if (threshold > 0.5f || candidates.size() < 2) return;
    const double limit = static_cast<double>(threshold) * total_weight(candidates);
    const auto is_likely = [&](const Candidate& each) { return static_cast<double>(each.weight) >= limit; };
    const Candidate* least = nullptr;
    for (const Candidate& each : candidates)
        if (is_likely(each) && (least == nullptr || better(*least, each))) least = &each;
    if (least == nullptr) return;
    const Candidate kept = *least;
    std::erase_if(candidates, [&](const Candidate& each) { return better(each, kept); });
}

}  // namespace quern
