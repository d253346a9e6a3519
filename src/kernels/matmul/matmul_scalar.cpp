// The matmul algorithms on plain C++.
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/matmul/quantize_activations.h"
#include "kernels/matmul/row_dot.h"
#include "kernels/simd/scalar.h"

namespace quern::scalar {

MatmulKernel matmul_for(DType weights) noexcept { return find_rows_kernel<Simd>(weights, AllFormats{}); }
QuantizeKernel quantize_for(ActivationFormat format) noexcept { return find_quantize_kernel<Simd>(format); }

}  // namespace quern::scalar
