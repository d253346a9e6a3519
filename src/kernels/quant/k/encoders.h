// The encoders of the K formats: EncodeKernels (kernels/quant/encode.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {

void encode_q2_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q3_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q4_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q5_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q6_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;

// Those that are compiled for several instruction sets, one by one.
namespace scalar {
void encode_q2_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q4_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q5_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
}  // namespace scalar
namespace avx2 {
void encode_q2_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q4_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q5_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
}  // namespace avx2

}  // namespace quern
