// Decides what the next step computes: every running sequence's next token first, then chunks of prompts under a token budget.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/page_pool.h"
#include "engine/sequence.h"

namespace quern {

struct SchedulerLimits {
    int64_t n_batch = 512;  ///< tokens in a step
    int n_sequences = 32;   ///< sequences that run at once
};

/// A sequence's share of a step: tokens[n_cached, n_cached + n_tokens). Its page table covers them.
struct Work {
    Sequence* sequence = nullptr;
    int64_t n_tokens = 0;
};

/// Owns the sequences and gives them pages. Not thread-safe: belongs to the engine thread.
class Scheduler {
  public:
    /// `pool` must outlive this and hold at least one sequence of full length.
    Scheduler(PagePool& pool, SchedulerLimits limits) : pool_(pool), limits_(limits) {}

    void enqueue(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }

    /// Takes out the sequences whose consumer has gone; their pages are free when it returns.
    std::vector<std::unique_ptr<Sequence>> take_cancelled();

    /// Takes out every sequence, at the end of the engine.
    std::vector<std::unique_ptr<Sequence>> take_all();

    /// The next step's work; empty only when nothing runs or waits. When pages run out, the youngest sequence gives up its own and waits
    /// again; it is computed anew later, with the same result.
    std::vector<Work> next_step();

    /// The sequence is done: frees its pages and hands it over.
    std::unique_ptr<Sequence> remove(Sequence* sequence);

    /// Gives back the pages of one sequence that is not part of the current step. False when none runs.
    bool preempt_youngest();

    int n_running() const noexcept { return static_cast<int>(running_.size()); }
    int n_waiting() const noexcept { return static_cast<int>(waiting_.size()); }

  private:
    template <typename Condition>
    std::vector<std::unique_ptr<Sequence>> take_if(Condition condition);
    void admit();
    bool cover(Sequence& sequence, int64_t n_tokens);
    void free_pages(Sequence& sequence);

    PagePool& pool_;
    SchedulerLimits limits_;
    std::vector<std::unique_ptr<Sequence>> running_;  // oldest first
    std::deque<std::unique_ptr<Sequence>> waiting_;
};

}  // namespace quern
