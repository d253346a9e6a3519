// How the next token is chosen from the logits.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "text/token.h"

namespace quern {

/// The defaults change nothing: draw from the model's own distribution.
struct SamplingParams {
    float temperature = 1.0f;                           ///< 0: always the likeliest token
    int top_k = 0;                                      ///< choose among the k likeliest; 0: all
    float top_p = 1.0f;                                 ///< choose among the likeliest that make up this share
    float min_p = 0.0f;                                 ///< choose among those with at least this share of the likeliest's chance
    float repeat_penalty = 1.0f;                        ///< logits of recent tokens are divided by it (multiplied where negative)
    int repeat_last_n = 64;                             ///< how many tokens back the penalties look, prompt included; 0: none; -1: all
    float presence_penalty = 0.0f;                      ///< taken once from the logit of each recent token
    float frequency_penalty = 0.0f;                     ///< taken for each time it occurred
    std::optional<uint64_t> seed;                       ///< nothing: a different answer each time
    std::vector<std::pair<TokenId, float>> logit_bias;  ///< added to the logits
};

/// @throws InvalidInput  naming the field that is not finite or out of range
void validate(const SamplingParams& params);

}  // namespace quern
