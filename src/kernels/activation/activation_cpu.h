// The kernels on single values of each instruction set; cpu_kernels.h says what they compute.
#pragma once

#include <cstdint>

namespace quern::scalar {
void swiglu(const float* gate, const float* up, float* out, int64_t n) noexcept;
void add(const float* x, float* out, int64_t n) noexcept;
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept;
}  // namespace quern::scalar

namespace quern::avx2 {
void swiglu(const float* gate, const float* up, float* out, int64_t n) noexcept;
void add(const float* x, float* out, int64_t n) noexcept;
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept;
}  // namespace quern::avx2

namespace quern::avx512 {
void swiglu(const float* gate, const float* up, float* out, int64_t n) noexcept;
void add(const float* x, float* out, int64_t n) noexcept;
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept;
}  // namespace quern::avx512
