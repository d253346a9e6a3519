// The rotation kernel of each instruction set.
#pragma once

#include "kernels/rope/rope.h"

namespace quern::scalar {
void rope(float* heads, int n_heads, int head_dim, const float* angles, int n_dims, RopeStyle style) noexcept;
}
namespace quern::avx2 {
void rope(float* heads, int n_heads, int head_dim, const float* angles, int n_dims, RopeStyle style) noexcept;
}
namespace quern::avx512 {
void rope(float* heads, int n_heads, int head_dim, const float* angles, int n_dims, RopeStyle style) noexcept;
}
