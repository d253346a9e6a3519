// Operations on single values, once for every instruction set.
#pragma once

#include <cstdint>

#include "kernels/activation/activation.h"
#include "kernels/inline.h"
#include "kernels/simd/float_math.h"

namespace quern {

/// x sigmoid(slope). exp stops at e^88, so that for slope < -88 the result is some -1e-36 and never NaN.
template <typename V>
QUERN_INLINE V times_sigmoid(V x, V slope) {
    return x / (V::splat(1.0f) + exp(V::splat(0.0f) - slope));
}

/// 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <typename V>
QUERN_INLINE V gelu_tanh(V x) {
    const V twice_u = x * fma(V::splat(0.0713548163f), x * x, V::splat(1.5957691216f));
    return times_sigmoid(x, twice_u);
}

/// x Phi(x), with the tail of the normal distribution as t p(t) exp(-x^2 / 2), t = 1 / (1 + 0.3275911 |x| / sqrt 2), p of degree 4.
/// Source: Abramowitz, Stegun 1964, formula 7.1.26 (error of erf below 1.5e-7).
template <typename V>
QUERN_INLINE V gelu(V x) {
    const V magnitude = max(x, V::splat(0.0f) - x);
    const V t = V::splat(1.0f) / fma(V::splat(0.3275911f * 0.70710678f), magnitude, V::splat(1.0f));
    V p = fma(V::splat(1.061405429f), t, V::splat(-1.453152027f));
    p = fma(p, t, V::splat(1.421413741f));
    p = fma(p, t, V::splat(-0.284496736f));
    p = fma(p, t, V::splat(0.254829592f));
    const V tail = V::splat(0.5f) * t * p * exp(V::splat(-0.5f) * x * x);
    return max(x, V::splat(0.0f)) - magnitude * tail;
}

/// limit tanh(x / limit), by (e^(2 y) - 1) / (e^(2 y) + 1). y stops where tanh is 1 in f32; the bounds come first in min and max, so that
/// what is no number stays none.
template <typename V>
QUERN_INLINE V softcap(V x, V limit) {
    const V y = min(V::splat(10.0f), max(V::splat(-10.0f), x / limit));
    const V power = exp(y + y);
    return limit * ((power - V::splat(1.0f)) / (power + V::splat(1.0f)));
}

template <typename V>
QUERN_INLINE V clamped_swiglu(V gate, V up) {
    const V g = min(V::splat(7.0f), gate), u = min(V::splat(7.0f), max(V::splat(-7.0f), up));
    return times_sigmoid(g, V::splat(1.702f) * g) * (u + V::splat(1.0f));
}

/// x[i] = function(x[i])
template <typename V, typename Function>
QUERN_INLINE void map_values(float* x, int64_t n, Function function) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) function(V::load(x + i)).store(x + i);
    if (i == n) return;
    const int left = static_cast<int>(n - i);
    function(V::load_first(x + i, left)).store_first(x + i, left);
}

/// out[i] = function(a[i], b[i])
template <typename V, typename Function>
QUERN_INLINE void join_values(const float* a, const float* b, float* out, int64_t n, Function function) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) function(V::load(a + i), V::load(b + i)).store(out + i);
    if (i == n) return;
    const int left = static_cast<int>(n - i);
    function(V::load_first(a + i, left), V::load_first(b + i, left)).store_first(out + i, left);
}

template <typename V>
QUERN_INLINE void activate_kernel(Activation activation, float* x, int64_t n) {
    switch (activation.kind) {
        case ActivationKind::none:
            return;
        case ActivationKind::silu:
            return map_values<V>(x, n, [](V v) { return times_sigmoid(v, v); });
        case ActivationKind::gelu_tanh:
            return map_values<V>(x, n, [](V v) { return gelu_tanh(v); });
        case ActivationKind::gelu:
            return map_values<V>(x, n, [](V v) { return gelu(v); });
        case ActivationKind::sigmoid:
            return map_values<V>(x, n, [](V v) { return times_sigmoid(V::splat(1.0f), v); });
        case ActivationKind::softcap: {
            const V limit = V::splat(activation.limit);
            return map_values<V>(x, n, [&](V v) { return softcap(v, limit); });
        }
    }
}

template <typename V>
QUERN_INLINE void gate_kernel(Gating gating, const float* gate, const float* up, float* out, int64_t n) {
    switch (gating) {
        case Gating::silu:
            return join_values<V>(gate, up, out, n, [](V g, V u) { return times_sigmoid(g, g) * u; });
        case Gating::gelu_tanh:
            return join_values<V>(gate, up, out, n, [](V g, V u) { return gelu_tanh(g) * u; });
        case Gating::gelu:
            return join_values<V>(gate, up, out, n, [](V g, V u) { return gelu(g) * u; });
        case Gating::clamped_swiglu:
            return join_values<V>(gate, up, out, n, [](V g, V u) { return clamped_swiglu(g, u); });
    }
}

template <typename V>
QUERN_INLINE void add_kernel(const float* x, float* out, int64_t n) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) (V::load(out + i) + V::load(x + i)).store(out + i);
    for (; i < n; ++i) out[i] += x[i];
}

/// out[i] += factor * x[i]
template <typename V>
QUERN_INLINE void add_scaled_kernel(float factor, const float* x, float* out, int64_t n) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) fma(V::splat(factor), V::load(x + i), V::load(out + i)).store(out + i);
    for (; i < n; ++i) out[i] += factor * x[i];
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
