// Which experts of a mixture take a token, and with which weights. Sources: Shazeer et al. 2017 (top-k gating); Jiang et al. 2024
// (Mixtral); DeepSeek-AI 2024 (DeepSeek-V2: groups; DeepSeek-V3: sigmoid scores with a bias for the choice only).
#pragma once

#include <cstdint>

namespace quern {

enum class ExpertScoring : uint8_t { softmax, sigmoid };

struct Routing {
    int n_experts = 0, n_used = 0;
    ExpertScoring scoring = ExpertScoring::softmax;
    bool normalize = false;               ///< the chosen weights add up to 1, before the factor
    float factor = 1.0f;                  ///< of all weights
    int n_groups = 1, n_groups_used = 1;  ///< experts in groups of equal size; only the best groups are chosen from
    const float* choice_bias = nullptr;   ///< [n_experts], added to the scores for the choice only; or nullptr
};

inline constexpr int most_experts = 1024;

/// Chooses n_used experts by the router's logits [n_experts], best first, lowest first among equals, and their weights. A group counts as
/// its best score, or, with a choice bias, as the sum of its two best. Logits that are no numbers count as the lowest.
/// REQUIRES: 1 <= n_used <= n_experts / n_groups * n_groups_used, n_experts <= most_experts, n_groups divides n_experts
void choose_experts(const Routing& routing, const float* logits, int32_t* experts, float* weights) noexcept;

}  // namespace quern
