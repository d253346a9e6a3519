// Matmul kernels, one set for each instruction set. Call those of a set only where the processor has it.
#pragma once

#include "kernels/matmul/matmul.h"
#include "kernels/token_kernels.h"

namespace quern::scalar {
MatmulChoice matmul_for(DType weights, TokenKernels kernels) noexcept;
QuantizeKernel quantize_for(ActivationFormat format) noexcept;
}  // namespace quern::scalar

namespace quern::avx2 {
MatmulChoice matmul_for(DType weights, TokenKernels kernels) noexcept;
QuantizeKernel quantize_for(ActivationFormat format) noexcept;
}  // namespace quern::avx2

namespace quern::avx512 {
/// Takes the panels of avx512bf16 where the processor has them.
MatmulChoice matmul_for(DType weights, TokenKernels kernels) noexcept;
QuantizeKernel quantize_for(ActivationFormat format) noexcept;
}  // namespace quern::avx512

namespace quern::avx512bf16 {
/// nullptr for float formats, which are as exact as their weights elsewhere.
MatmulKernel panels_for(DType weights) noexcept;
}  // namespace quern::avx512bf16
