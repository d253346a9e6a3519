// The norm kernels of each instruction set; cpu_kernels.h says what they compute.
#pragma once

#include <cstdint>

#include "kernels/norm/norm.h"

namespace quern::scalar {
void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept;
void layer_norm(const float* x, const float* weight, const float* bias, NormSize size, float* out) noexcept;
}  // namespace quern::scalar
namespace quern::avx2 {
void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept;
void layer_norm(const float* x, const float* weight, const float* bias, NormSize size, float* out) noexcept;
}  // namespace quern::avx2
namespace quern::avx512 {
void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept;
void layer_norm(const float* x, const float* weight, const float* bias, NormSize size, float* out) noexcept;
}  // namespace quern::avx512
