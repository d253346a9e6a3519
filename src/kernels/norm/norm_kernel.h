// RMS norm, once for every instruction set: x / sqrt(mean(x^2) + eps) * weight. Source: Zhang, Sennrich 2019.
#pragma once

#include <cstdint>

#include "kernels/inline.h"

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

}  // namespace quern
