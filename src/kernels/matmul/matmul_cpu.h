// Matmul kernels, one set for each instruction set. Call those of a set only where the processor has it.
#pragma once

#include "kernels/matmul/activations.h"
#include "kernels/matmul/matmul.h"

namespace quern::scalar {
/// nullptr for formats that quern cannot multiply with.
MatmulKernel matmul_for(DType weights) noexcept;
QuantizeKernel quantize_for(ActivationFormat format) noexcept;
}  // namespace quern::scalar

namespace quern::avx2 {
MatmulKernel matmul_for(DType weights) noexcept;
QuantizeKernel quantize_for(ActivationFormat format) noexcept;
}  // namespace quern::avx2

namespace quern::avx512 {
MatmulKernel matmul_for(DType weights) noexcept;
QuantizeKernel quantize_for(ActivationFormat format) noexcept;
}  // namespace quern::avx512
