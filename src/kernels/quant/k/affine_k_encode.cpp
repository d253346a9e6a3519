// Q2_K, Q4_K and Q5_K encoders on plain C++, and the choice of the fastest: all give the same bytes.
#include "kernels/quant/k/affine_k_encode.h"

#include "base/cpu_features.h"
#include "kernels/quant/k/encoders.h"
#include "kernels/simd/scalar.h"

namespace quern {
namespace scalar {

void encode_q2_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_q2_k_with<Simd>(x, importance, n, out);
}
void encode_q4_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_q4_k_with<Simd>(x, importance, n, out);
}
void encode_q5_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_q5_k_with<Simd>(x, importance, n, out);
}

}  // namespace scalar

namespace {

#if defined(__x86_64__)
bool has_avx2() { return best_isa() >= Isa::avx2; }
#else
bool has_avx2() { return false; }
#endif

}  // namespace

void encode_q2_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    (has_avx2() ? avx2::encode_q2_k : scalar::encode_q2_k)(x, importance, n, out);
}
void encode_q4_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    (has_avx2() ? avx2::encode_q4_k : scalar::encode_q4_k)(x, importance, n, out);
}
void encode_q5_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    (has_avx2() ? avx2::encode_q5_k : scalar::encode_q5_k)(x, importance, n, out);
}

}  // namespace quern
