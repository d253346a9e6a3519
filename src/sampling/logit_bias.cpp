#include "sampling/filters.h"

namespace quern {

void apply_logit_bias(std::span<float> logits, std::span<const std::pair<TokenId, float>> bias) {
    for (const auto& [token, value] : bias)
        if (token.value >= 0 && static_cast<size_t>(token.value) < logits.size()) logits[static_cast<size_t>(token.value)] += value;
}

}  // namespace quern
