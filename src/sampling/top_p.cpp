// Nucleus sampling without a sort: quickselect by weight finds the last candidate that the share needs.
#include <algorithm>
#include <span>

#include "sampling/filters.h"

namespace quern {
namespace {

constexpr size_t few = 48;
// Each round halves the range on average. A model's output could be made so that it does not; then the rest is sorted.
constexpr int most_rounds = 60;

Candidate middle_of_three(std::span<const Candidate> range) {
    Candidate a = range.front(), b = range[range.size() / 2], c = range.back();
    if (better(b, a)) std::swap(a, b);
    if (better(c, b)) std::swap(b, c);
    return better(b, a) ? a : b;
}

// The worst of the fewest best candidates whose weights add up to `needed`. Reorders them.
Candidate last_needed(std::span<Candidate> range, double needed) {
    for (int round = 0; round < most_rounds && range.size() > few; ++round) {
        const Candidate pivot = middle_of_three(range);
        const auto middle = std::partition(range.begin(), range.end(), [&](const Candidate& each) { return better(each, pivot); });
        const auto n_better = static_cast<size_t>(middle - range.begin());
        const double share = total_weight(range.first(n_better));
        if (share >= needed) {
            range = range.first(n_better);
        } else {
            needed -= share;
            range = range.subspan(n_better);
        }
    }
    std::sort(range.begin(), range.end(), better);
    for (const Candidate& each : range) {
        needed -= static_cast<double>(each.weight);
        if (needed <= 0) return each;
    }
    return range.back();
}

}  // namespace

void apply_top_p(std::vector<Candidate>& candidates, float p, std::vector<Candidate>& scratch) {
    if (p >= 1.0f || candidates.size() < 2) return;
    const double total = total_weight(candidates), share = static_cast<double>(p);
    // Even all together, candidates below this (half of it, for rounding) are not in the share: a peaked distribution is short work.
    const double negligible = 0.5 * (1.0 - share) * total / static_cast<double>(candidates.size());
    scratch.clear();
    for (const Candidate& each : candidates)
        if (static_cast<double>(each.weight) >= negligible) scratch.push_back(each);
    const Candidate last = last_needed(scratch, share * total);
    std::erase_if(candidates, [&](const Candidate& each) { return better(last, each); });
}

}  // namespace quern
