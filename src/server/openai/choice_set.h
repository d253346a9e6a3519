// The generations behind one request: one for each of its choices.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "server/http/answer.h"

namespace quern {

/// What arrived for one choice since the last look.
struct ChoiceUpdate {
    size_t index = 0;
    std::string text;
    std::vector<TokenOutput> tokens;  ///< those whose text has been handed over, so that text and log probabilities keep step
    std::optional<FinishReason> finish;
};

/// Dropping it cancels what still runs.
class ChoiceSet {
  public:
    /// Submits one request for each prompt and each of `n_each` choices, prompt by prompt. All or none are accepted.
    /// @throws InvalidInput, ContextOverflow, EngineBusy
    ChoiceSet(Engine& engine, const std::vector<std::vector<TokenId>>& prompts, const Request& request, int n_each, const Waker& wake);

    /// What is new, choice by choice. @throws ApiError  when a choice failed
    std::vector<ChoiceUpdate> poll();
    bool is_done() const { return n_open_ == 0; }
    size_t size() const { return choices_.size(); }

    int64_t n_prompt_tokens() const { return n_prompt_tokens_; }  ///< each prompt counted once
    int64_t n_completion_tokens() const { return n_completion_tokens_; }
    int64_t n_cached_tokens() const { return n_cached_tokens_; }  ///< of prompts, each counted once; complete when all is done

  private:
    struct Choice {
        std::shared_ptr<Generation> generation;
        std::deque<TokenOutput> held;  // their text may still become part of a stop string
        size_t n_text_bytes = 0;       // handed over
        size_t n_token_bytes = 0;      // of the tokens handed over
        bool is_done = false;
    };

    void take(Choice& choice, OutputDelta delta, ChoiceUpdate& update);
    void release_tokens(Choice& choice, ChoiceUpdate& update) const;

    std::vector<Choice> choices_;
    size_t n_open_ = 0;
    size_t n_each_;  // choices of a prompt
    bool has_stops_;
    int64_t n_prompt_tokens_ = 0, n_completion_tokens_ = 0, n_cached_tokens_ = 0;
};

/// "stop" or "length".
const char* finish_name(FinishReason reason);

}  // namespace quern
