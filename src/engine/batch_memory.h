// What an executor reads while it runs.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/scheduler.h"
#include "graph/executor.h"

namespace quern {

/// A batch, put together from the shares of sequences. Keeps its memory from one batch to the next. What batch() points to is valid until
/// the next clear() or add(), as long as the sequences keep their pages.
class BatchMemory {
  public:
    void clear();
    /// Adds a sequence's share. Where it reaches the end of the text, the logits of the last token and of the draft's are wanted; of a text
    /// that is only read, those of all tokens from some position on.
    void add(const Work& work);

    Batch batch() const {
        return {.tokens = tokens_,
                .sequences = sequences_,
                .outputs = outputs_,
                .types = types_,
                .output_kernels = output_kernels_,
                .adapter_scales = adapter_scales_};
    }
    int64_t n_tokens() const noexcept { return static_cast<int64_t>(tokens_.size()); }
    size_t n_outputs() const noexcept { return outputs_.size(); }

  private:
    std::vector<int32_t> tokens_, outputs_;
    std::vector<SequenceSpan> sequences_;
    std::vector<int32_t> types_;  // empty, or one for each token
    std::vector<float> adapter_scales_;
    TokenKernels output_kernels_ = TokenKernels::few;
};

}  // namespace quern
