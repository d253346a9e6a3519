// The matmul algorithms on plain C++.
#include "kernels/matmul/choose_kernel.h"
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/matmul/quantize_activations.h"
#include "kernels/simd/scalar.h"

namespace quern::scalar {

MatmulChoice matmul_for(DType weights, TokenKernels) noexcept { return choose_rows<Simd>(weights); }
QuantizeKernel quantize_for(ActivationFormat format) noexcept { return find_quantize_kernel<Simd>(format); }

}  // namespace quern::scalar
