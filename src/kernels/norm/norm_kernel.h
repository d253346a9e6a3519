// RMS norm and layer norm, once for every instruction set.
#pragma once

#include <cstdint>

#include "kernels/inline.h"
#include "kernels/norm/norm.h"

namespace quern {

/// Sum of squares: portions of 512 values in f32, their totals in double. Relative error: at most 40 * 2^-24 (a lane of the narrowest
/// vectors adds 32 squares, then 4 accumulators and 4 lanes meet), whatever n is.
template <typename V>
QUERN_INLINE double sum_of_squares(const float* x, int64_t n) {
    constexpr int64_t portion = 512, step = 4 * V::width;
    double sum = 0;
    int64_t i = 0;
    while (n - i >= step) {
        const int64_t end = n - i < portion ? i + (n - i) / step * step : i + portion;
        V sums[4] = {V::splat(0.0f), V::splat(0.0f), V::splat(0.0f), V::splat(0.0f)};
        for (; i < end; i += step)
            for (int k = 0; k < 4; ++k) {
                const V value = V::load(x + i + k * V::width);
                sums[k] = fma(value, value, sums[k]);
            }
        sum += static_cast<double>(total((sums[0] + sums[1]) + (sums[2] + sums[3])));
    }
    for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return sum;
}

template <typename V>
QUERN_INLINE void rms_norm_kernel(const float* x, const float* weight, float eps, int64_t n, float* out) {
    const double mean = sum_of_squares<V>(x, n) / static_cast<double>(n);
    const float scale = static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(eps)));
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) (V::load(x + i) * V::splat(scale) * V::load(weight + i)).store(out + i);
    for (; i < n; ++i) out[i] = x[i] * scale * weight[i];
}

/// Sum of x, in portions as above.
template <typename V>
QUERN_INLINE double sum_of(const float* x, int64_t n) {
    constexpr int64_t portion = 512;
    double sum = 0;
    int64_t i = 0;
    while (n - i >= V::width) {
        const int64_t end = n - i < portion ? i + (n - i) / V::width * V::width : i + portion;
        V part = V::splat(0.0f);
        for (; i < end; i += V::width) part = part + V::load(x + i);
        sum += static_cast<double>(total(part));
    }
    for (; i < n; ++i) sum += static_cast<double>(x[i]);
    return sum;
}

/// (x - mean) / sqrt(mean of (x - mean)^2 + eps) * weight + bias. The mean is taken off first, so that an offset costs no digits.
template <typename V>
QUERN_INLINE void layer_norm_kernel(const float* x, const float* weight, const float* bias, NormSize size, float* out) {
    const int64_t n = size.n;
    const double mean = sum_of<V>(x, n) / static_cast<double>(n);
    const float high = static_cast<float>(mean), low = static_cast<float>(mean - static_cast<double>(high));
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) (V::load(x + i) - V::splat(high) - V::splat(low)).store(out + i);
    for (; i < n; ++i) out[i] = x[i] - high - low;
    const double variance = sum_of_squares<V>(out, n) / static_cast<double>(n);
    const float scale = static_cast<float>(1.0 / __builtin_sqrt(variance + static_cast<double>(size.eps)));
    for (i = 0; i + V::width <= n; i += V::width) {
        const V offset = bias != nullptr ? V::load(bias + i) : V::splat(0.0f);
        fma(V::load(out + i) * V::splat(scale), V::load(weight + i), offset).store(out + i);
    }
    for (; i < n; ++i) out[i] = out[i] * scale * weight[i] + (bias != nullptr ? bias[i] : 0.0f);
}

}  // namespace quern
