// Decides what is computed next. Tokens of answers go in steps; prompts go in chunks, which the engine computes a few layers at a time
// between those steps, so that a long prompt does not hold up those who are generating.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <span>
#include <utility>
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

/// A sequence's share of a step or chunk: n_tokens from n_computed on: of its tokens, then of its draft. Its page table covers them.
struct Work {
    Sequence* sequence = nullptr;
    int64_t n_tokens = 0;
};

/// Owns the sequences and gives them pages. Not thread-safe: belongs to the engine thread. Whatever throws std::bad_alloc, every sequence
/// is still here and every page has its owner.
class Scheduler {
  public:
    /// `cache` must outlive this; its pools hold at least one sequence of full length.
    Scheduler(PrefixCache& cache, SchedulerLimits limits);

    /// Takes the sequence over, unless it throws.
    void enqueue(std::unique_ptr<Sequence>&& sequence) { waiting_.push_back(std::move(sequence)); }

    /// Drops the sequences whose consumer has gone; their pages are free when it returns. Those that share the chunk with others stay until
    /// it is computed. Takes no memory.
    /// @param tell  called with each sequence just before; must not throw, nor use the scheduler
    template <typename Tell>
    void drop_cancelled(Tell tell) {
        const auto is_cancelled = [](const Work& work) { return work.sequence->channel->cancelled(); };
        if (std::all_of(chunk_.begin(), chunk_.end(), is_cancelled)) drop_chunk();
        drop_if([&](const Sequence& sequence) { return sequence.channel->cancelled() && !in_chunk(sequence); }, tell);
    }
    /// The same with every sequence.
    template <typename Tell>
    void drop_all(Tell tell) {
        drop_chunk();
        drop_if([](const Sequence&) { return true; }, tell);
    }

    /// Lets waiting sequences start, with what the prefix cache has of them. One whose prompt begins as another's that is being computed
    /// waits for those pages, and lets others go ahead. Compares at most about most_compared tokens; those who come later in the queue are
    /// looked at the next time.
    void admit();
    static constexpr int64_t most_compared = 1 << 20;  ///< takes less than a millisecond
    /// Tokens of prompts that admit() compared with others so far; looking whether what a sequence waits for is there counts as one.
    int64_t n_compared() const noexcept { return n_compared_; }

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
    std::vector<Work> take_chunk() noexcept { return std::exchange(chunk_, {}); }

    /// n_tokens more of the sequence have their keys and values: full pages go to the prefix cache.
    void computed(Sequence& sequence, int64_t n_tokens);

    /// Whether the sequence is one of those that run; the pointer may be of one that is gone.
    bool runs(const Sequence* sequence) const noexcept;
    /// The sequence is done: releases its pages and hands it over. REQUIRES: it runs, and is not in the chunk.
    std::unique_ptr<Sequence> remove(Sequence* sequence);

    /// Takes the pages of the youngest sequence. False when none runs. May drop the chunk.
    bool preempt_youngest();

    /// False once releasing pages has thrown: it cannot be told any more which page is whose, and nothing may be computed.
    bool is_sound() const noexcept { return is_sound_; }

    /// Some prompt is not computed yet.
    bool has_prompts() const noexcept;
    int n_running() const noexcept { return static_cast<int>(running_.size()); }
    int n_waiting() const noexcept { return static_cast<int>(waiting_.size()); }
    int64_t n_preemptions() const noexcept { return n_preemptions_; }

    /// Every sequence, the running ones first. @param visit  called with it and whether it runs
    template <typename Visit>
    void for_each(Visit visit) {
        for (const auto& each : running_) visit(*each, true);
        for (const auto& each : waiting_) visit(*each, false);
    }

    template <typename Visit>
    void for_each_running(Visit visit) {
        for (const auto& each : running_) visit(*each);
    }

  private:
    template <typename Condition, typename Tell>
    void drop_if(Condition condition, Tell tell) {
        drop_if(running_, condition, tell);
        drop_if(waiting_, condition, tell);
    }
    template <typename Sequences, typename Condition, typename Tell>
    void drop_if(Sequences& sequences, Condition condition, Tell tell) {
        struct Sweep {  // also when something throws, no empty place stays behind
            Sequences& sequences;
            ~Sweep() { std::erase(sequences, nullptr); }
        } sweep{sequences};
        for (auto& each : sequences) {
            if (!condition(*each)) continue;
            tell(*each);
            release_pages(*each);
            each.reset();
        }
    }
    bool start(Sequence& sequence);
    void find_prefix(Sequence& sequence);
    bool waits_for_another(Sequence& sequence);
    bool is_coming(const Sequence::Awaited& awaited);
    int64_t pages_to_await(const Sequence& sequence, const Sequence& other);
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
    int64_t n_preemptions_ = 0, n_compared_ = 0;
    int last_kind_ = 0;  // of texts, that had a chunk
    bool is_sound_ = true;
};

}  // namespace quern
