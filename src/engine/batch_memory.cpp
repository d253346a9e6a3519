#include "engine/batch_memory.h"

#include <algorithm>

namespace quern {

void BatchMemory::clear() {
    tokens_.clear();
    outputs_.clear();
    sequences_.clear();
    types_.clear();
    adapter_scales_.clear();
    output_kernels_ = TokenKernels::few;
}

void BatchMemory::add(const Work& work) {
    const Sequence& sequence = *work.sequence;
    sequences_.push_back({.first_token = n_tokens(),
                          .n_tokens = work.n_tokens,
                          .first_position = sequence.n_computed,
                          .page_table = sequence.pages.full(),
                          .window_page_table = sequence.pages.windows()});
    adapter_scales_.insert(adapter_scales_.end(), sequence.adapter_scales.begin(), sequence.adapter_scales.end());
    const int64_t n_text = std::min(work.n_tokens, sequence.n_pending());
    const auto first = sequence.tokens.begin() + sequence.n_computed;
    tokens_.insert(tokens_.end(), first, first + n_text);
    if (const TextReading* reading = sequence.reading.get()) {
        output_kernels_ = TokenKernels::many;
        for (int64_t i = 0; i < n_text; ++i) types_.push_back(sequence.n_computed + i >= reading->second_begin);
    }
    for (int64_t row = n_tokens() - sequence.n_outputs(n_text); row < n_tokens(); ++row) outputs_.push_back(static_cast<int32_t>(row));
    for (int64_t i = 0; i < work.n_tokens - n_text; ++i) {
        outputs_.push_back(static_cast<int32_t>(tokens_.size()));
        tokens_.push_back(sequence.draft[static_cast<size_t>(i)]);
    }
}

}  // namespace quern
