// The inner contract of every CPU matmul: a block of weight rows times a block of tokens, on one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/matmul/activations.h"
#include "tensor/dtype.h"

namespace quern {

/// out[t * out_stride + r] = sum over i < n_in of x[t, i] * w[r, i]   for t < n_tokens, r < n_rows.
struct MatmulTask {
    const std::byte* weights = nullptr;  ///< n_rows rows of weight_row_bytes each, in the weight's native blocks
    int64_t weight_row_bytes = 0;
    int64_t n_rows = 0;
    const std::byte* activations = nullptr;  ///< n_tokens rows in the format that the kernel reads
    int64_t activation_row_bytes = 0;
    int64_t n_tokens = 0;
    int64_t n_in = 0;  ///< a multiple of the weight format's block
    float* out = nullptr;
    int64_t out_stride = 0;
};

/// Checks nothing; the caller has checked shapes. Thread-safe: touches only what the task names.
using MatmulKernel = void (*)(const MatmulTask& task) noexcept;

/// How kernels of one kind multiply with weights of some format.
struct MatmulChoice {
    MatmulKernel kernel = nullptr;  ///< nullptr for formats that quern cannot multiply with
    ActivationFormat activations = ActivationFormat::f32;
    int64_t row_multiple = 1;       ///< the kernel multiplies so many rows at once: some more of them take as long as one more such group
    bool waits_for_memory = false;  ///< it is for few tokens, and a unit of its work is a stretch of weights rather than of arithmetic
};

/// x[0..n) into one row of an ActivationFormat.
using QuantizeKernel = void (*)(const float* x, std::byte* out, int64_t n) noexcept;

/// One row of n weights into f32, bit-exact with the published format.
using DecodeKernel = void (*)(const std::byte* row, float* out, int64_t n) noexcept;

/// The oracle: decodes both operands and sums in double. Any supported dtype.
void matmul_reference(DType weights, ActivationFormat activations, const MatmulTask& task) noexcept;

/// One row of activations as the values that kernels see.
void decode_activations(ActivationFormat format, const std::byte* row, int64_t n, double* out) noexcept;

}  // namespace quern
