// The draw itself: a point in the sum of the weights, found by blocks and then one by one.
#include <algorithm>
#include <span>

#include "sampling/filters.h"

namespace quern {

TokenId draw(std::vector<Candidate>& candidates, float temperature, double unit) {
    if (temperature != 1.0f) weigh(candidates, temperature);
    constexpr size_t block_size = 256;
    const std::span<const Candidate> all(candidates);
    const auto block_at = [&](size_t begin) { return all.subspan(begin, std::min(block_size, all.size() - begin)); };
    double total = 0;
    for (size_t begin = 0; begin < all.size(); begin += block_size) total += total_weight(block_at(begin));
    double left = unit * total;
    const Candidate* chosen = nullptr;  // the last one with a chance, should rounding eat the end of the last share
    for (size_t begin = 0; begin < all.size(); begin += block_size) {
        const double share = total_weight(block_at(begin));
        if (left >= share && begin + block_size < all.size()) {
            left -= share;
            continue;
        }
        for (const Candidate& each : block_at(begin)) {
            if (each.weight == 0.0f) continue;
            chosen = &each;
            left -= static_cast<double>(each.weight);
            if (left < 0) return {each.token};
        }
    }
    return {chosen != nullptr ? chosen->token : std::min_element(all.begin(), all.end(), better)->token};
}

}  // namespace quern
