// The tokens that may still be chosen, in order of their ids, with their logits and chances.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

struct Candidate {
    int32_t token = -1;
    float logit = 0;
    float weight = 0;  ///< e^(logit - the best logit): the chance, but for a factor that all share
};

/// Likelier first; among equals the lower id. A total order, so that results do not depend on the order of work.
inline bool better(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.token < b.token; }

/// The k likeliest tokens, or all for k = 0, without those whose logit is minus infinity or no number. Weights are not set.
/// Cost: two passes; memory only when `candidates` has never held as many.
void fill_candidates(std::span<const float> logits, int k, std::vector<Candidate>& candidates);

/// Sets the weights, for a distribution sharpened (temperature < 1) or flattened. REQUIRES: temperature > 0, the best logit is finite
void weigh(std::vector<Candidate>& candidates, float temperature);

/// The sum of the weights.
double total_weight(std::span<const Candidate> candidates);

}  // namespace quern
