// What happens to a checkpoint's tensor on its way into GGUF: row by row, so that nothing is held in memory.
#pragma once

#include <cstdint>

#include "tensor/tensor_view.h"

namespace quern {

/// What a transform means for a product b a that is added to the tensor, as adapters do.
enum class OnProducts : uint8_t {
    same,    ///< nothing: a reads the same inputs and b makes the same outputs
    rows,    ///< the outputs come in another order: fill_row() on b brings its rows into it
    unknown  ///< the product has no such form in GGUF
};

/// A family may bring its own. Both functions get `parameter`.
struct Transform {
    /// Fills row `row` of the GGUF tensor (or of one of its stacked matrices) with n_cols values. nullptr: the same row of the source.
    void (*fill_row)(const TensorView& source, int64_t row, int64_t parameter, float* out) noexcept = nullptr;
    /// The shape that the source must have for the GGUF tensor's shape. nullptr: the same.
    Shape (*source_shape)(const Shape& gguf, int64_t parameter) = nullptr;
    int64_t parameter = 0;
    OnProducts on_products = OnProducts::same;
};

/// Row `row` of a view, decoded. REQUIRES: f32, f16 or bf16
void decode_row(const TensorView& view, int64_t row, float* out) noexcept;

/// The rows of each head with its halves interleaved, so that the values of a rotary pair are neighbours. For biases, the values.
Transform interleave_halves(int64_t n_heads);
/// Every value plus one: norms that are stored as their difference from one.
Transform plus_one();
/// [n_in, n_out] as [n_out, n_in], and so for each expert.
Transform transposed();
/// Of [n_experts, n_in, 2 n_out] every second column, from `first` on, as [n_experts, n_out, n_in]; of [n_experts, 2 n_out] every second
/// value.
Transform every_second_column(int64_t first);
/// DeepSeek's products of keys and of values, which checkpoints keep below each other in each head, [n_heads * (n_keys + n_values), rank]:
/// the keys as [n_heads, rank, n_keys], the values as [n_heads, n_values, rank].
Transform latent_keys(int64_t n_keys, int64_t n_values);
Transform latent_values(int64_t n_keys, int64_t n_values);
/// Without the first n rows.
Transform skip_rows(int64_t n);

}  // namespace quern
