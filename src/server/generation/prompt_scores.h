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

/// Queues the prompt; once that is done, `scores` is complete. @throws what Engine::start_evaluation throws
std::shared_ptr<Evaluation> score_prompt(Engine& engine, const std::vector<TokenId>& prompt, int n_top, bool goes_on,
                                         std::shared_ptr<PromptScores> scores, std::function<void()> on_done);

}  // namespace quern
