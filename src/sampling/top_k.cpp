// The k best of n in one pass: what beats the worst of the best so far goes to a buffer, which is cut back to k when it is full.
#include <algorithm>
#include <limits>

#include "sampling/candidates.h"
#include "sampling/filters.h"

namespace quern {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

void keep_best(std::vector<Candidate>& candidates, size_t k) {
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(k) - 1, candidates.end(), better);
    candidates.resize(k);
}

// The k best, in an order that depends on the library.
void find_best(std::span<const float> logits, size_t k, std::vector<Candidate>& candidates) {
    const size_t full = 2 * k + 64;
    float limit = minus_infinity;
    for (size_t i = 0; i < logits.size(); ++i) {
        if (!(logits[i] > limit)) continue;  // an equal one has a higher id than those kept, so it is worse
        candidates.push_back({.token = static_cast<int32_t>(i), .logit = logits[i]});
        if (candidates.size() < full) continue;
        keep_best(candidates, k);
        limit = candidates[k - 1].logit;
    }
    if (candidates.size() > k) keep_best(candidates, k);
}

}  // namespace

void apply_top_k(std::vector<Candidate>& candidates, int k) {
    if (candidates.size() <= static_cast<size_t>(k)) return;
    keep_best(candidates, static_cast<size_t>(k));
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
}

void fill_candidates(std::span<const float> logits, int k, std::vector<Candidate>& candidates) {
    candidates.clear();
    const bool all = k <= 0 || static_cast<size_t>(k) >= logits.size();
    if (!all) {
        find_best(logits, static_cast<size_t>(k), candidates);
        std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
        return;
    }
    candidates.resize(logits.size());
    size_t n = 0;  // written without a branch, and kept where it counts
    for (size_t i = 0; i < logits.size(); ++i) {
        candidates[n] = {.token = static_cast<int32_t>(i), .logit = logits[i]};
        n += logits[i] > minus_infinity ? 1 : 0;
    }
    candidates.resize(n);
}

}  // namespace quern
