#include "kernels/activation/activation_cpu.h"
#include "kernels/activation/activation_kernel.h"
#include "kernels/simd/float_avx2.h"

namespace quern::avx2 {

void activate(Activation activation, float* x, int64_t n) noexcept { activate_kernel<Float>(activation, x, n); }
void gate(Gating gating, const float* gate, const float* up, float* out, int64_t n) noexcept {
    gate_kernel<Float>(gating, gate, up, out, n);
}
void add(const float* x, float* out, int64_t n) noexcept { add_kernel<Float>(x, out, n); }
void add_scaled(float factor, const float* x, float* out, int64_t n) noexcept { add_scaled_kernel<Float>(factor, x, out, n); }
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept { to_f16_kernel<Float>(x, out, n); }

}  // namespace quern::avx2
