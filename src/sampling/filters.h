// The samplers that narrow the choice, one file each. chain.h runs them in the order of SamplingParams::samplers. (Penalties, DRY and
// Mirostat remember things and have classes of their own.)
#pragma once

#include <span>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/params.h"

namespace quern {

/// Adds each bias to its token's logit; ids outside the vocabulary are ignored.
void apply_logit_bias(std::span<float> logits, std::span<const std::pair<TokenId, float>> bias);

/// Leaves the fewest likeliest candidates whose chances add up to p, at least one. REQUIRES: weighed. `scratch`: for a copy of them.
/// Cost: linear. Source: Holtzman et al. 2020 (nucleus sampling).
void apply_top_p(std::vector<Candidate>& candidates, float p, std::vector<Candidate>& scratch);

/// Leaves those whose chance is at least p times that of the likeliest. REQUIRES: weighed; p <= 1
/// Source: Nguyen et al. 2024 (min-p sampling).
void apply_min_p(std::vector<Candidate>& candidates, float p);

/// Leaves the k best. REQUIRES: k > 0. Keeps the order of ids.
void apply_top_k(std::vector<Candidate>& candidates, int k);

/// - sum of p ln p. REQUIRES: weighed; not empty
double entropy(std::span<const Candidate> candidates);

/// Leaves those whose surprise is closest to the entropy, as few as have a share of p together. REQUIRES: weighed. Cost: a sort.
void apply_typical(std::vector<Candidate>& candidates, float p, std::vector<Candidate>& scratch);

/// Leaves those with logit >= best - n * standard deviation of all candidates' logits.
void apply_top_n_sigma(std::vector<Candidate>& candidates, float n);

/// Of those with at least this share, leaves only the least likely; and all others. REQUIRES: weighed
void apply_xtc(std::vector<Candidate>& candidates, float threshold);

/// The temperature that SamplingParams asks for: its own, or moved by the entropy. REQUIRES: weighed; not empty
float dynamic_temperature(std::span<const Candidate> candidates, const SamplingParams& params);

/// Draws with chances e^(logit / temperature). @param unit  a random number in [0, 1)
/// REQUIRES: temperature > 0; weighed with temperature 1 before or `temperature` now; not empty
TokenId draw(std::vector<Candidate>& candidates, float temperature, double unit);

}  // namespace quern
