// The samplers that narrow the choice, one file each. They run in llama.cpp's order: logit bias, penalties, top_k, top_p, min_p,
// temperature. (top_k is fill_candidates, penalties have a class of their own.)
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

/// Draws with chances e^(logit / temperature). @param unit  a random number in [0, 1)
/// REQUIRES: temperature > 0; weighed with temperature 1; not empty
TokenId draw(std::vector<Candidate>& candidates, float temperature, double unit);

}  // namespace quern
