#include "kernels/norm/norm_cpu.h"
#include "kernels/norm/norm_kernel.h"
#include "kernels/simd/float_avx512.h"

namespace quern::avx512 {

void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept {
    rms_norm_kernel<Float>(x, weight, eps, n, out);
}
void layer_norm(const float* x, const float* weight, const float* bias, NormSize size, float* out) noexcept {
    layer_norm_kernel<Float>(x, weight, bias, size, out);
}

}  // namespace quern::avx512
