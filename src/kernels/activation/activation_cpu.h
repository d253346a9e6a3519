// The kernels on single values of each instruction set; cpu_kernels.h says what they compute.
#pragma once

#include <cstdint>

#include "kernels/activation/activation.h"

namespace quern::scalar {
void activate(Activation activation, float* x, int64_t n) noexcept;
void gate(Gating gating, const float* gate, const float* up, float* out, int64_t n) noexcept;
void add(const float* x, float* out, int64_t n) noexcept;
void add_scaled(float factor, const float* x, float* out, int64_t n) noexcept;
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept;
}  // namespace quern::scalar

namespace quern::avx2 {
void activate(Activation activation, float* x, int64_t n) noexcept;
void gate(Gating gating, const float* gate, const float* up, float* out, int64_t n) noexcept;
void add(const float* x, float* out, int64_t n) noexcept;
void add_scaled(float factor, const float* x, float* out, int64_t n) noexcept;
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept;
}  // namespace quern::avx2

namespace quern::avx512 {
void activate(Activation activation, float* x, int64_t n) noexcept;
void gate(Gating gating, const float* gate, const float* up, float* out, int64_t n) noexcept;
void add(const float* x, float* out, int64_t n) noexcept;
void add_scaled(float factor, const float* x, float* out, int64_t n) noexcept;
void to_f16(const float* x, uint16_t* out, int64_t n) noexcept;
}  // namespace quern::avx512
