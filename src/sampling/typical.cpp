// Locally typical sampling: those whose surprise is closest to the expected surprise. Source: Meister et al. 2022.
#include <algorithm>
#include <cmath>

#include "sampling/filters.h"

namespace quern {

double entropy(std::span<const Candidate> candidates) {
    const double total = total_weight(candidates);
    double sum = 0;
    for (const Candidate& each : candidates) {
        const double chance = static_cast<double>(each.weight) / total;
        if (chance > 0) sum -= chance * std::log(chance);
    }
    return sum;
}

void apply_typical(std::vector<Candidate>& candidates, float p, std::vector<Candidate>& scratch) {
    if (p >= 1.0f || candidates.size() < 2) return;
    const double total = total_weight(candidates), expected = entropy(candidates);
    const auto distance = [&](const Candidate& each) {
        const double chance = static_cast<double>(each.weight) / total;
        return chance > 0 ? std::abs(-std::log(chance) - expected) : HUGE_VAL;
    };
    // The distances take the place of the logits, which decide nothing here.
    scratch.assign(candidates.begin(), candidates.end());
    for (Candidate& each : scratch) each.logit = static_cast<float>(-distance(each));
    std::sort(scratch.begin(), scratch.end(), better);
    double left = static_cast<double>(p) * total;
    size_t n = 0;
    while (n < scratch.size() && (n == 0 || left > 0)) left -= static_cast<double>(scratch[n++].weight);
    const Candidate last = scratch[n - 1];
    std::erase_if(candidates, [&](Candidate each) {
        each.logit = static_cast<float>(-distance(each));
        return better(last, each);
    });
}

}  // namespace quern
