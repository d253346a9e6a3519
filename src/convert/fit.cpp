#include "convert/fit.h"

#include <algorithm>
#include <numeric>

namespace quern {
namespace {

/// Indices of the choices on the lower convex hull of cost over bytes, smallest first.
std::vector<size_t> hull_of(const std::vector<FitChoice>& choices) {
    std::vector<size_t> order(choices.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return choices[a].bytes != choices[b].bytes ? choices[a].bytes < choices[b].bytes : choices[a].cost < choices[b].cost;
    });
    const auto slope = [&](size_t a, size_t b) {
        return (choices[a].cost - choices[b].cost) / static_cast<double>(choices[b].bytes - choices[a].bytes);
    };
    std::vector<size_t> hull;
    for (const size_t each : order) {
        if (!hull.empty() && choices[each].cost >= choices[hull.back()].cost) continue;  // no smaller and no better
        if (!hull.empty() && choices[each].bytes == choices[hull.back()].bytes) continue;
        while (hull.size() >= 2 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), each)) hull.pop_back();
        hull.push_back(each);
    }
    return hull;
}

struct HullStep {
    size_t tensor, to;
    uint64_t bytes;  ///< more than before
    double gain;     ///< for a byte
};

/// Spends what is left on single tensors, best gain first.
void spend_rest(std::span<const std::vector<FitChoice>> tensors, uint64_t left, std::vector<size_t>& chosen) {
    for (;;) {
        double best_gain = 0;
        size_t best_tensor = 0, best_choice = 0;
        for (size_t t = 0; t < tensors.size(); ++t) {
            const FitChoice& now = tensors[t][chosen[t]];
            for (size_t i = 0; i < tensors[t].size(); ++i) {
                const FitChoice& other = tensors[t][i];
                if (other.bytes > now.bytes + left || now.cost - other.cost <= best_gain) continue;
                best_gain = now.cost - other.cost;
                best_tensor = t;
                best_choice = i;
            }
        }
        if (best_gain <= 0) return;
        left = left + tensors[best_tensor][chosen[best_tensor]].bytes - tensors[best_tensor][best_choice].bytes;
        chosen[best_tensor] = best_choice;
    }
}

}  // namespace

uint64_t least_bytes(std::span<const std::vector<FitChoice>> tensors) {
    uint64_t sum = 0;
    for (const std::vector<FitChoice>& choices : tensors)
        sum += std::min_element(choices.begin(), choices.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; })->bytes;
    return sum;
}

std::optional<std::vector<size_t>> choose_within(std::span<const std::vector<FitChoice>> tensors, uint64_t budget_bytes) {
    if (least_bytes(tensors) > budget_bytes) return std::nullopt;
    std::vector<size_t> chosen;
    std::vector<HullStep> steps;
    uint64_t left = budget_bytes;
    for (size_t t = 0; t < tensors.size(); ++t) {
        const std::vector<FitChoice>& choices = tensors[t];
        const std::vector<size_t> hull = hull_of(choices);
        chosen.push_back(hull.front());
        left -= choices[hull.front()].bytes;
        for (size_t i = 1; i < hull.size(); ++i) {
            const uint64_t more = choices[hull[i]].bytes - choices[hull[i - 1]].bytes;
            steps.push_back({t, hull[i], more, (choices[hull[i - 1]].cost - choices[hull[i]].cost) / static_cast<double>(more)});
        }
    }
    // Along a hull gains fall, so that the order keeps each tensor's own.
    std::stable_sort(steps.begin(), steps.end(), [](const HullStep& a, const HullStep& b) { return a.gain > b.gain; });
    std::vector<bool> is_stuck(tensors.size());
    for (const HullStep& step : steps) {
        if (is_stuck[step.tensor]) continue;
        is_stuck[step.tensor] = step.bytes > left;
        if (is_stuck[step.tensor]) continue;
        left -= step.bytes;
        chosen[step.tensor] = step.to;
    }
    spend_rest(tensors, left, chosen);
    return chosen;
}

}  // namespace quern
