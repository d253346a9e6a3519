// Experts as gpt-oss is published: for each matrix a tensor of 4-bit numbers, NAME_blocks [n_experts, n_rows, n_cols / 32, 16], and one of
// their exponents, NAME_scales [n_experts, n_rows, n_cols / 32], both of bytes. GGUF's MXFP4 holds the same numbers in another order: here
// byte i has values 2 i and 2 i + 1, there values i and 16 + i. Source: OpenAI 2025, the model card and its published loader.
#pragma once

#include <optional>
#include <string>

#include "convert/checkpoint/source_tensor.h"
#include "models/checkpoint.h"

namespace quern {

/// The rows of one GGUF tensor in such a pair.
struct PackedExperts {
    const SourceTensor* blocks = nullptr;
    const SourceTensor* scales = nullptr;
    int64_t n_rows = 0, n_cols = 0;  ///< of an expert's matrix in GGUF
    int64_t step = 1, first = 0;     ///< its row r is row first + r * step of the checkpoint's

    /// Row `row` of all experts' rows, as blocks of MXFP4: the same bits.
    void copy_row(int64_t row, std::byte* out) const noexcept;
    /// The same as n_cols values.
    void decode_row(int64_t row, float* out) const noexcept;
};

/// What of the pair belongs to the tensor. Nothing when the shapes are not those.
std::optional<PackedExperts> find_packed_rows(const ConvertedTensor& wanted, const SourceTensor& blocks, const SourceTensor& scales);

}  // namespace quern
