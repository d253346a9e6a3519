// The generations behind one request: one for each of its choices.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "server/http/answer.h"
#include "server/metrics.h"
#include "server/served_model.h"

namespace quern {

/// What arrived for one choice since the last look.
struct ChoiceUpdate {
    size_t index = 0;
    std::string text;
    std::vector<TokenOutput> tokens;  ///< those whose text has been handed over, so that text and log probabilities keep step
    std::optional<FinishReason> finish;
    std::string stop;  ///< the stop string that ended it, or ""
};

/// What to generate.
struct ChoiceOrder {
    ModelLease model;
    std::vector<std::vector<TokenId>> prompts;
    Request request;                      ///< without its prompt
    int n_each = 1;                       ///< choices of each prompt
    const char* prompt_field = "prompt";  ///< what errors about the prompt name
    ServerMetrics* metrics = nullptr;
};

/// Dropping it cancels what still runs.
class ChoiceSet {
  public:
    /// Submits one request for each prompt and each choice, prompt by prompt. All or none are accepted.
    /// @throws InvalidInput, ContextOverflow, EngineBusy
    ChoiceSet(ChoiceOrder order, const Waker& wake);
    ~ChoiceSet();
    ChoiceSet(const ChoiceSet&) = delete;
    ChoiceSet& operator=(const ChoiceSet&) = delete;

    /// What is new, choice by choice. @throws ApiError  when a choice failed
    std::vector<ChoiceUpdate> poll();
    bool is_done() const { return n_open_ == 0; }
    size_t size() const { return choices_.size(); }
    const ServedModel& model() const { return *order_.model; }
    const Tokenizer& tokenizer() const { return model().engine->tokenizer(); }
    const std::vector<std::vector<TokenId>>& prompts() const { return order_.prompts; }
    bool wants_logprobs() const { return order_.request.n_logprobs >= 0; }

    int64_t n_prompt_tokens() const { return n_prompt_tokens_; }  ///< each prompt counted once
    int64_t n_completion_tokens() const { return n_completion_tokens_; }
    /// The fewest that a choice found in the prefix cache, summed over the prompts; complete once all are done.
    int64_t n_cached_tokens() const;
    /// Times of the choice; complete once it is done.
    const GenerationStats& stats(size_t choice) const { return choices_[choice].stats; }

  private:
    struct Choice {
        std::shared_ptr<Generation> generation;
        std::deque<TokenOutput> held;  // their text may still become part of a stop string
        size_t n_text_bytes = 0;       // handed over
        size_t n_token_bytes = 0;      // of the tokens handed over
        bool is_done = false;
        GenerationStats stats;
        std::optional<std::chrono::steady_clock::time_point> last_token;
    };

    void submit_all(const Waker& wake);
    void take(Choice& choice, OutputDelta delta, ChoiceUpdate& update);
    void count_tokens(Choice& choice, size_t n_tokens);
    void count_end(const Choice& choice, Outcome outcome) const;
    void release_tokens(Choice& choice, ChoiceUpdate& update) const;

    const ChoiceOrder order_;  // first: its lease outlives the generations
    ModelMetrics* const metrics_;
    std::vector<Choice> choices_;
    size_t n_open_ = 0;
    int64_t n_prompt_tokens_ = 0, n_completion_tokens_ = 0;
};

/// "stop" or "length".
const char* finish_name(FinishReason reason);

}  // namespace quern
