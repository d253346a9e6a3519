// Q2_K, Q4_K and Q5_K encoders compiled for AVX2, without fused products.
#if defined(__x86_64__)
#include "kernels/quant/k/affine_k_encode.h"
#include "kernels/quant/k/encoders.h"
#include "kernels/simd/avx2.h"

namespace quern::avx2 {

void encode_q2_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_q2_k_with<Simd>(x, importance, n, out);
}
void encode_q4_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_q4_k_with<Simd>(x, importance, n, out);
}
void encode_q5_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_q5_k_with<Simd>(x, importance, n, out);
}

}  // namespace quern::avx2
#endif
