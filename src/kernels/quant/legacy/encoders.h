// The encoders of the plain formats: EncodeKernels (kernels/quant/encode.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {

void encode_q4_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q4_1(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q5_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q5_1(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_q8_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;

}  // namespace quern
