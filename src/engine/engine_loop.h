// The loop of an engine's thread: what it computes next, and who is told what came of it. There is one for each device.
#pragma once

#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/batch_memory.h"
#include "engine/engine_inbox.h"
#include "engine/scheduler.h"
#include "engine/speculation.h"
#include "engine/step_times.h"
#include "graph/executor.h"

namespace quern {

/// What a loop works with. The executors' device, model and adapters must outlive it.
struct EngineParts {
    std::shared_ptr<const GgufFile> file;        ///< asked after each computation whether it is whole
    std::shared_ptr<const Tokenizer> tokenizer;  ///< says which tokens end an answer
    std::unique_ptr<Executor> prompts, answers;  ///< the same graph with the kernels for many tokens, and for few
    std::unique_ptr<Executor> vectors;           ///< up to the vectors; nullptr where `prompts` makes those, or nobody wants any
    std::unique_ptr<KvCache> cache;
    int64_t n_pages = 0, n_window_pages = 0;  ///< of the cache
    int64_t window = 0;                       ///< of its windowed layers; 0: there are none
    bool keeps_prefixes = true;               ///< for requests that begin alike
    std::unique_ptr<DraftModel> draft_model;  ///< guesses ahead; nullptr: none
    int draft_ngram = 0;                      ///< without one: longest run of tokens that is looked up; 0: nothing is guessed
    int n_draft = 0;                          ///< most tokens guessed ahead
    int n_sequences = 1;                      ///< most that run at once
    int64_t n_vocab = 0;
};

/// Owns what only the engine's thread touches; other threads reach it through the inbox.
/// Invariants, whatever throws (a kernel, a callback, a sink, the allocation of memory):
/// - Nothing leaves run(). What belongs to one request ends that one; what belongs to a step or chunk, those in it; anything else all
///   requests that are there. The loop goes on after each of these.
/// - Every request taken from the inbox is told its end, before its pages are released.
/// - When the pages are no longer accounted for (a mistake of ours), nothing is computed any more: the inbox says so, and every request is
///   told. Jobs still run.
class EngineLoop {
  public:
    EngineLoop(EngineParts parts, std::shared_ptr<EngineInbox> inbox);

    /// Serves the inbox until it says stop; then cancels what is there. The calling thread is the engine's thread.
    void run() noexcept;

    /// Shows `observer` what the matrices are multiplied with. From a job.
    void observe(const LinearObserver& observer);

    /// What has become of the model's files since they were opened; "": nothing. Any thread.
    std::string damage() const;
    /// Likewise. @throws ModelError  something has
    void require_intact_files() const;

  private:
    // engine_loop.cpp: whose turn it is, and what happens when something fails.
    bool take_mail() noexcept;
    void let_in(std::unique_ptr<Sequence>& sequence) noexcept;
    void take_turn();
    void tell(Sequence& sequence, FinishReason reason, const std::exception_ptr& error = nullptr) noexcept;
    void finish(Sequence* sequence, FinishReason reason, const std::exception_ptr& error = nullptr) noexcept;
    void finish_all(FinishReason reason, const std::exception_ptr& error = nullptr) noexcept;
    void fail(const char* what, std::span<const Work> works, const std::exception_ptr& error) noexcept;
    void give_up(const std::exception_ptr& error) noexcept;
    template <typename Act>
    void for_one(Sequence* sequence, Act act) noexcept;
    void publish_stats() noexcept;

    // engine_steps.cpp: what is computed, and what is made of it.
    void propose_drafts() noexcept;
    void guess_ahead();
    void run_answers(std::span<const Work> step);
    void check_draft(const Work& work, std::span<const float> logits);
    bool begin_chunk(bool answers_wait);
    void advance_prompts(bool answers_wait);
    void finish_chunk();
    void hand_over(Sequence& sequence, int64_t first, std::span<const float> logits);
    bool sample(Sequence& sequence, std::span<const float> logits);

    StepTimes& chunk_times() { return chunk_reading_ ? reading_times_ : times_; }
    Executor& chunk_executor() { return chunk_reading_ && chunk_reading_->makes_vectors && vectors_ ? *vectors_ : *prompts_; }
    bool speculates() const noexcept { return draft_ngram_ > 0 || draft_model_; }

    const std::shared_ptr<EngineInbox> inbox_;
    const std::shared_ptr<const GgufFile> file_;
    const std::shared_ptr<const Tokenizer> tokenizer_;
    const std::unique_ptr<Executor> prompts_, answers_, vectors_;
    const std::unique_ptr<KvCache> cache_;
    const std::unique_ptr<DraftModel> draft_model_;
    const int draft_ngram_, n_draft_;
    const size_t n_vocab_;

    PagePool pool_, window_pool_;  // the latter is empty where no layers are windowed
    PrefixCache prefixes_;
    Scheduler scheduler_;
    BatchMemory answers_batch_, prompts_batch_;
    StepTimes times_, reading_times_;  // of chunks of prompts, and of texts that are only read: those want more rows of logits
    std::shared_ptr<const TextReading> chunk_reading_;  // of a chunk of such texts

    EngineInbox::Mail mail_;     // empty but while it is looked through
    std::exception_ptr broken_;  // why nothing is computed any more
    EngineStats totals_;         // the counters of what is published
    // So that those who wait cost the steps of others nothing:
    bool has_cancelled_ = false;            // somebody may have gone since the last look
    Sequence::Clock::time_point listed_{};  // when the waiting ones were last listed in the statistics
};

/// What goes wrong with one sequence's tokens ends that one.
template <typename Act>
void EngineLoop::for_one(Sequence* sequence, Act act) noexcept {
    try {
        act();
    } catch (...) {
        const Work work{.sequence = sequence};
        fail("a request failed", {&work, 1}, std::current_exception());
    }
}

}  // namespace quern
