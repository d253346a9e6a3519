// The matmul algorithms on AVX2.
#if defined(__x86_64__)
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/matmul/quantize_activations.h"
#include "kernels/matmul/row_dot.h"
#include "kernels/simd/avx2.h"

namespace quern::avx2 {

MatmulKernel matmul_for(DType weights) noexcept { return find_rows_kernel<Simd>(weights, AllFormats{}); }
QuantizeKernel quantize_for(ActivationFormat format) noexcept { return find_quantize_kernel<Simd>(format); }

}  // namespace quern::avx2
#endif
