#include "kernels/rope/rope_cpu.h"
#include "kernels/rope/rope_kernel.h"
#include "kernels/simd/float_avx2.h"

namespace quern::avx2 {

void rope(float* heads, int n_heads, int head_dim, const float* angles, int n_dims, RopeStyle style) noexcept {
    rope_kernel<Float>(heads, n_heads, head_dim, angles, n_dims, style);
}

}  // namespace quern::avx2
