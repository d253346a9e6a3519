// Log probabilities as clients see them: of the model's own distribution, before temperature and filters.
#pragma once

#include <span>
#include <vector>

#include "text/token.h"

namespace quern {

struct TokenLogprob {
    TokenId token;
    float logprob = 0;  ///< natural logarithm; never below -9999, never NaN
};

struct TokenLogprobs {
    float logprob = 0;              ///< of the chosen token
    std::vector<TokenLogprob> top;  ///< the likeliest, best first
};

/// ln(sum of e^logit); NaN counts as -infinity. @param logits  at least one
double log_sum_exp(std::span<const float> logits);

/// @param logits  [n_vocab], raw  @param n_top  how many of the likeliest to list
TokenLogprobs token_logprobs(std::span<const float> logits, TokenId chosen, int n_top);

}  // namespace quern
