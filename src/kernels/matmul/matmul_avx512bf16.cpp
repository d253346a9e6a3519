// The panels of quantized weights on AVX-512 BF16: their values and the activations keep 8 bits of their fractions, the sums all of f32's.
#if defined(__x86_64__)
#include "kernels/matmul/choose_kernel.h"
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/simd/avx512bf16.h"

namespace quern::avx512bf16 {

MatmulKernel panels_for(DType weights) noexcept { return find_kernel<PanelKernels<Wide>::Of>(weights, QuantizedFormats{}); }

}  // namespace quern::avx512bf16
#endif
