#include "kernels/activation/activation_cpu.h"
#include "kernels/activation/activation_kernel.h"
#include "kernels/simd/float_scalar.h"

namespace quern::scalar {

void swiglu(const float* gate, const float* up, float* out, int64_t n) noexcept { swiglu_kernel<Float>(gate, up, out, n); }
void add(const float* x, float* out, int64_t n) noexcept { add_kernel<Float>(x, out, n); }
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept { to_f16_kernel<Float>(x, out, n); }

}  // namespace quern::scalar
