#include "server/generation/prompt_scores.h"

#include <algorithm>

namespace quern {

std::shared_ptr<Evaluation> score_prompt(Engine& engine, const std::vector<TokenId>& prompt, int n_top, bool goes_on,
                                         std::shared_ptr<PromptScores> scores, std::function<void()> on_done) {
    for (const TokenId token : prompt)
        scores->tokens.push_back({.token = token, .text = engine.tokenizer().token_bytes(token, true), .logprobs = {}});
    const auto n_vocab = static_cast<size_t>(engine.info().n_vocab);
    auto take = [scores = std::move(scores), n_vocab, n_top](int64_t first, std::span<const float> logits) {
        std::vector<TokenOutput>& tokens = scores->tokens;
        for (size_t i = 0; i * n_vocab < logits.size(); ++i) {
            const auto row = logits.subspan(i * n_vocab, n_vocab);
            const size_t follower = static_cast<size_t>(first) + i + 1;
            if (follower < tokens.size()) {
                tokens[follower].logprobs = token_logprobs(row, tokens[follower].token, n_top);
            } else {
                scores->likeliest = TokenId{static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin())};
                scores->next = token_logprobs(row, scores->likeliest, n_top);
            }
        }
    };
    return engine.start_evaluation({.tokens = prompt, .sink = std::move(take), .goes_on = goes_on, .on_done = std::move(on_done)});
}

}  // namespace quern
