// The matmul algorithms on AVX2.
#if defined(__x86_64__)
#include "kernels/matmul/choose_kernel.h"
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/matmul/quantize_activations.h"
#include "kernels/simd/avx2.h"

namespace quern::avx2 {

MatmulChoice matmul_for(DType weights, TokenKernels kernels) noexcept { return choose_kernel<Wide>(weights, kernels); }
QuantizeKernel quantize_for(ActivationFormat format) noexcept { return find_quantize_kernel<Simd>(format); }

}  // namespace quern::avx2
#endif
