// The panels of quantized weights on AVX-512 BF16: their values and the activations keep 8 bits of their fractions, the sums all of f32's.
#if defined(__x86_64__)
#include "kernels/matmul/choose_kernel.h"
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/simd/avx512bf16.h"

namespace quern::avx512bf16 {

MatmulKernel panels_for(DType weights) noexcept {
    return find_kernel<PanelKernels<Wide>::Of>(weights, FormatList<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K>{});
}

}  // namespace quern::avx512bf16
#endif
