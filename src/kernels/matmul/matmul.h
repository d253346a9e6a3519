// The inner contract of every CPU matmul: a block of weight rows times a block of tokens, on one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace quern {

/// out[t * out_stride + r] = sum over i < n_in of x[t, i] * w[r, i]   for t < n_tokens, r < n_rows.
struct MatmulTask {
    const std::byte* weights = nullptr;  ///< n_rows rows of weight_row_bytes each, in the weight's native blocks
    int64_t weight_row_bytes = 0;
    int64_t n_rows = 0;
    const std::byte* activations = nullptr;  ///< n_tokens rows in activation_format(weights' dtype)
    int64_t activation_row_bytes = 0;
    int64_t n_tokens = 0;
    int64_t n_in = 0;  ///< a multiple of the weight format's block
    float* out = nullptr;
    int64_t out_stride = 0;
};

constexpr bool dtype_is_float(DType weights) { return weights == DType::f32 || weights == DType::f16 || weights == DType::bf16; }

/// From this many tokens on, wide kernels unpack weights into a panel first; below, that costs more than it saves (measured on Zen 4).
constexpr int64_t min_panel_tokens(DType weights) { return dtype_is_float(weights) ? 24 : 8; }

/// Kernels with panels multiply this many rows at once: a task with a few more of them takes as long as one with twice as many.
constexpr int64_t row_multiple(DType weights, int64_t n_tokens) {
    if (n_tokens < min_panel_tokens(weights)) return 1;
    return dtype_is_float(weights) ? 32 : 16;
}

/// Checks nothing; the caller has checked shapes. Thread-safe: touches only what the task names.
using MatmulKernel = void (*)(const MatmulTask& task) noexcept;

/// x[0..n) into one row of an ActivationFormat.
using QuantizeKernel = void (*)(const float* x, std::byte* out, int64_t n) noexcept;

/// One row of n weights into f32, bit-exact with the published format.
using DecodeKernel = void (*)(const std::byte* row, float* out, int64_t n) noexcept;

/// The oracle: decodes both operands and sums in double. Any supported dtype.
void matmul_reference(DType weights, const MatmulTask& task) noexcept;

}  // namespace quern
