// The tokens that may still be chosen, with their logits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace quern {

struct Candidate {
    int32_t token;
    float logit;
};

/// Likelier first; among equals the lower id, so that results do not depend on the order of work.
inline bool better(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.token < b.token; }

/// All tokens, by id. What is not a number can never be chosen.
inline void fill_candidates(std::span<const float> logits, std::vector<Candidate>& candidates) {
    candidates.resize(logits.size());
    for (size_t i = 0; i < logits.size(); ++i)
        candidates[i] = {static_cast<int32_t>(i), std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i]};
}

/// Leaves the n best, in any order. REQUIRES: n <= size. Cost: linear.
inline void keep_best(std::vector<Candidate>& candidates, size_t n) {
    if (n < candidates.size()) std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(n), candidates.end(), better);
    candidates.resize(n);
}

}  // namespace quern
