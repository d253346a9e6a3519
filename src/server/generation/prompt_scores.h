// Log probabilities of the tokens of a prompt: how likely the model found each after those before it.
#pragma once

#include <vector>

#include "engine/engine.h"

namespace quern {

struct PromptScores {
    std::vector<TokenOutput> tokens;  ///< of the prompt, the first without log probabilities
    TokenLogprobs next;               ///< of the likeliest token after the prompt
    TokenId likeliest;
};

/// Blocks for as long as the prompt takes. @throws what Engine::evaluate throws
PromptScores score_prompt(Engine& engine, const std::vector<TokenId>& prompt, int n_top);

}  // namespace quern
