// The matmul algorithms on AVX-512 VNNI.
#if defined(__x86_64__)
#include "base/cpu_features.h"
#include "kernels/matmul/choose_kernel.h"
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/matmul/quantize_activations.h"
#include "kernels/simd/avx512.h"

namespace quern::avx512 {

MatmulChoice matmul_for(DType weights, TokenKernels kernels) noexcept {
    MatmulChoice choice = choose_kernel<Wide>(weights, kernels);
    if (kernels == TokenKernels::few || !has_avx512_bf16()) return choice;
    if (const MatmulKernel pairs = avx512bf16::panels_for(weights)) {
        choice.kernel = pairs;
        choice.activations = ActivationFormat::bf16;
    }
    return choice;
}
QuantizeKernel quantize_for(ActivationFormat format) noexcept { return find_quantize_kernel<Simd>(format); }

}  // namespace quern::avx512
#endif
