// Guesses at the tokens that follow. They are only guesses: the model computes them all in one step and goes on from the first that its
// sampler would not have drawn, so that the answer is the same as without.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/sequence.h"
#include "graph/executor.h"
#include "models/model.h"

namespace quern {

/// Looks for the last tokens earlier in the text and proposes what followed them there: the longest run of up to `longest` tokens, its
/// latest occurrence. Source: Saxena 2023 (prompt lookup decoding).
/// @return at most n_draft tokens, written to `draft`
void look_up_draft(std::span<const int32_t> tokens, int longest, int64_t n_draft, std::vector<int32_t>& draft);

/// A second, small model on the same device that goes on with each text greedily. Belongs to the engine thread.
class DraftModel {
  public:
    struct Options {
        std::string path;
        int n_sequences = 1;
        int64_t n_ctx = 0;    ///< longest text that it is asked about
        int64_t n_pages = 0;  ///< most that its cache may have
    };
    /// @throws ModelError, InvalidInput, DeviceError
    DraftModel(Device& device, const Options& options);

    int64_t n_vocab() const { return model_->n_vocab(); }
    const GgufFile& file() const { return *file_; }
    /// Proposes up to n_wanted[i] tokens for each sequence, where it has room for their texts and knows all their tokens. A long text that
    /// it has not read yet is read a part at a time, call by call, before anything is proposed for it. The states of all other sequences
    /// are dropped; those that want 0 keep theirs.
    void propose(std::span<Sequence* const> sequences, std::span<const int64_t> n_wanted);
    /// Drops all states: after propose() threw, they may claim more than was computed.
    void forget_all() noexcept;
    uint64_t kv_bytes() const { return KvCache::page_bytes(model_->kv_shape()) * static_cast<uint64_t>(pool_->n_pages()); }

  private:
    struct State {
        std::vector<int32_t> fed;  // tokens whose keys and values are in the pages
        std::vector<int32_t> page_table;
        bool wanted = false;
    };
    void forget_unwanted(std::span<Sequence* const> sequences);
    bool cover(State& state, int64_t n_tokens);
    bool prepare(const Sequence& sequence, int64_t n_wanted);
    void catch_up(std::span<Sequence* const> sequences, std::span<int64_t> n_wanted);
    void extend(std::span<Sequence* const> sequences, std::span<const int64_t> n_wanted);
    void clear_batch();
    void add_to_batch(const Sequence& sequence, State& state, size_t n_tokens);

    Device& device_;
    std::unique_ptr<const GgufFile> file_;
    std::unique_ptr<const Model> model_;
    std::unique_ptr<Executor> reader_, writer_;  // the same graph with the kernels for many tokens, and for few
    std::unique_ptr<KvCache> cache_;
    std::unique_ptr<PagePool> pool_;
    int64_t n_ctx_;
    std::unordered_map<uint64_t, State> states_;  // by Sequence::id
    std::vector<int32_t> tokens_, outputs_;
    std::vector<SequenceSpan> spans_;
};

/// What a draft model takes, in bytes.
struct DraftNeed {
    uint64_t file_bytes = 0, page_bytes = 0, workspace_bytes = 0;
};
/// @throws ModelError, InvalidInput
DraftNeed draft_need(Device& device, const DraftModel::Options& options);

}  // namespace quern
