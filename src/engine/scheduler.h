// Decides what is computed next. Tokens of answers go in steps; prompts go in chunks, which the engine computes a few layers at a time
// between those steps, so that a long prompt does not hold up those who are generating.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "engine/prefix_cache.h"
#include "engine/sequence.h"

namespace quern {

struct SchedulerLimits {
    int64_t n_batch = 512;      ///< tokens in a chunk of prompts
    int64_t n_generation = 64;  ///< tokens in a step of answers
    int n_sequences = 32;       ///< sequences that run at once
    int64_t window = 0;         ///< of the windowed layers; 0: there are none
    int64_t n_outputs = 64;     ///< rows of logits in a chunk
};

/// A sequence's share of a step or chunk: n_tokens from n_cached on: of its tokens, then of its draft. Its page table covers them.
struct Work {
    Sequence* sequence = nullptr;
    int64_t n_tokens = 0;
};

/// Owns the sequences and gives them pages. Not thread-safe: belongs to the engine thread.
class Scheduler {
  public:
    /// `cache` must outlive this; its pools hold at least one sequence of full length.
    Scheduler(PrefixCache& cache, SchedulerLimits limits) : cache_(cache), limits_(limits) {}

    void enqueue(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }

    /// Takes out the sequences whose consumer has gone; their pages are free when it returns. Those that share the chunk with others stay
    /// until it is computed.
    std::vector<std::unique_ptr<Sequence>> take_cancelled();

    /// Takes out every sequence, at the end of the engine.
    std::vector<std::unique_ptr<Sequence>> take_all();

    /// Lets waiting sequences start, with what the prefix cache has of them. One whose prompt begins as another's that is being computed
    /// waits for those pages.
    void admit();

    /// The next tokens of all answers. When pages run out, the youngest sequence gives up its own and waits again; it is computed anew
    /// later, with the same result. May drop the chunk.
    std::vector<Work> next_step();

    /// Chooses what of the prompts is computed next: of those that want an answer, those that are read for their logits, or for vectors, in
    /// turns. REQUIRES: there is no chunk. Empty when there is no prompt to compute, or no page for it.
    /// @param most_read_tokens  the same for texts that are only read
    std::span<const Work> start_chunk(int64_t most_tokens, int64_t most_read_tokens = INT64_MAX);
    /// What start_chunk() chose, until it is finished or dropped.
    std::span<const Work> chunk() const noexcept { return chunk_; }
    void drop_chunk() noexcept { chunk_.clear(); }

    /// n_tokens more of the sequence have their keys and values: full pages go to the prefix cache.
    void computed(Sequence& sequence, int64_t n_tokens);

    /// Whether the sequence is one of those that run; the pointer may be of one that is gone.
    bool runs(const Sequence* sequence) const noexcept;
    /// The sequence is done: releases its pages and hands it over. REQUIRES: it is not in the chunk.
    std::unique_ptr<Sequence> remove(Sequence* sequence);

    /// Takes the pages of the youngest sequence. False when none runs. May drop the chunk.
    bool preempt_youngest();

    /// Some prompt is not computed yet.
    bool has_prompts() const noexcept;
    int n_running() const noexcept { return static_cast<int>(running_.size()); }
    int64_t window() const noexcept { return limits_.window; }
    int n_waiting() const noexcept { return static_cast<int>(waiting_.size()); }
    int64_t n_preemptions() const noexcept { return n_preemptions_; }

    /// Every sequence, the running ones first. @param visit  called with it and whether it runs
    template <typename Visit>
    void for_each(Visit visit) {
        for (const auto& each : running_) visit(*each, true);
        for (const auto& each : waiting_) visit(*each, false);
    }

  private:
    template <typename Condition>
    std::vector<std::unique_ptr<Sequence>> take_if(Condition condition);
    bool start(Sequence& sequence);
    void find_prefix(Sequence& sequence);
    bool waits_for_another(const Sequence& sequence) const;
    bool cover(Sequence& sequence, int64_t n_tokens);
    bool make_room(size_t index, std::vector<Work>& step, int64_t n_tokens);
    std::vector<Sequence*> prompts_in_turn();
    void add_to_chunk(Sequence& sequence, int64_t n_tokens);
    bool in_chunk(const Sequence& sequence) const noexcept;
    void release_pages(Sequence& sequence);

    PrefixCache& cache_;
    SchedulerLimits limits_;
    std::vector<std::unique_ptr<Sequence>> running_;  // oldest first
    std::deque<std::unique_ptr<Sequence>> waiting_;
    std::vector<Work> chunk_;
    std::vector<int32_t> key_tokens_;
    std::vector<PrefixCache::PrefixId> prefixes_;
    int64_t n_preemptions_ = 0;
    int last_kind_ = 0;  // of texts, that had a chunk
};

}  // namespace quern
