// Operations on single values, once for every instruction set.
#pragma once

#include <cstdint>

#include "kernels/inline.h"
#include "kernels/simd/float_math.h"

namespace quern {

/// gate sigmoid(gate) up. exp stops at e^88, so that for gate < -88 the result is some -1e-36 up and never NaN.
template <typename V>
QUERN_INLINE V gated(V gate, V up) {
    return gate / (V::splat(1.0f) + exp(V::splat(0.0f) - gate)) * up;
}

template <typename V>
QUERN_INLINE void swiglu_kernel(const float* gate, const float* up, float* out, int64_t n) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) gated(V::load(gate + i), V::load(up + i)).store(out + i);
    if (i == n) return;
    const int left = static_cast<int>(n - i);
    gated(V::load_first(gate + i, left), V::load_first(up + i, left)).store_first(out + i, left);
}

template <typename V>
QUERN_INLINE void add_kernel(const float* x, float* out, int64_t n) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) (V::load(out + i) + V::load(x + i)).store(out + i);
    for (; i < n; ++i) out[i] += x[i];
}

template <typename V>
QUERN_INLINE void to_f16_kernel(const float* x, uint16_t* out, int64_t n) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) V::load(x + i).store_f16(out + i);
    if (i == n) return;
    const int left = static_cast<int>(n - i);
    V::load_first(x + i, left).store_f16_first(out + i, left);
}

}  // namespace quern
