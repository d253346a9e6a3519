#include "sampling/candidates.h"

#include <algorithm>
#include <limits>

#include "sampling/exponential.h"

namespace quern {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

}  // namespace

void weigh(std::vector<Candidate>& candidates, float temperature) {
    float best = minus_infinity;
    for (const Candidate& each : candidates) best = std::max(best, each.logit);
    // A temperature close to 0 must not make 0 * infinity of the best one's exponent.
    const float scale = std::min(1.0f / temperature, std::numeric_limits<float>::max());
    // By way of a plain array, for loops over it become vectors.
    constexpr size_t block_size = 256;
    float block[block_size];
    for (size_t begin = 0; begin < candidates.size(); begin += block_size) {
        const size_t n = std::min(block_size, candidates.size() - begin);
        for (size_t i = 0; i < n; ++i) block[i] = (candidates[begin + i].logit - best) * scale;
        for (size_t i = 0; i < n; ++i) block[i] = exp_of_negative(block[i]);
        for (size_t i = 0; i < n; ++i) candidates[begin + i].weight = block[i];
    }
}

double total_weight(std::span<const Candidate> candidates) {
    double sums[4] = {0, 0, 0, 0};  // four chains of additions: one would wait for itself
    size_t i = 0;
    for (; i + 4 <= candidates.size(); i += 4)
        for (size_t k = 0; k < 4; ++k) sums[k] += static_cast<double>(candidates[i + k].weight);
    for (; i < candidates.size(); ++i) sums[0] += static_cast<double>(candidates[i].weight);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace quern
