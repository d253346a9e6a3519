// TQ1_0 and TQ2_0: the scale and the set of values that are not 0, so that the weighted squared error is least. The best set holds the
// values above some threshold; with these the gain is (sum w |x|)^2 / sum w. Sixteen thresholds are tried, each a constant share of the one
// before; then the best moves to half of its scale, until that is no better.
#pragma once

#include "kernels/quant/group_tile.h"
#include "kernels/quant/k/affine_k_encode.h"
#include "kernels/quant/ternary/tq1_0.h"
#include "kernels/quant/ternary/tq2_0.h"

namespace quern {

struct Ternary {
    uint16_t d = 0;
    uint8_t q[256];  // 0, 1, 2
};

template <typename V>
QUERN_LANES_INLINE void fit_ternary(const float* values, const float* importance, Ternary& out) {
    using S = Sixteen<V>;
    float x[256], w[256];
    load_finite<V>(values, 256, 256, most_magnitude, x);
    fit_weights<V>(x, importance, 256, w);
    const float largest = largest_magnitude<V>(x, 256);
    float best_gain = 0.0f, best = 0.0f;
    const auto improve = [&](float threshold) __attribute__((always_inline)) {
        const S limit = S::splat(threshold), zero = S::splat(0.0f);
        S products = zero, weights = zero;
        for (int i = 0; i < 256; i += 16) {
            const S m = magnitude(S::load(x + i)), weight = choose(less(limit, m), S::load(w + i), zero);
            products = products + weight * m;
            weights = weights + weight;
        }
        const float product = total(products), weight = total(weights);
        if (!(weight > 0.0f)) return false;
        const float scale = product / weight, gain = product * scale;
        if (!(gain > best_gain)) return false;
        best_gain = gain;
        best = scale;
        return true;
    };
    if (largest >= least_magnitude) {
        float threshold = 0.95f * largest;
        for (int k = 0; k < 16; ++k, threshold *= 0.82f) improve(threshold);
        for (int round = 0; round < 6; ++round)
            if (!improve(0.5f * best)) break;
    }
    out.d = nearest_f16(best);
    const S half = S::splat(f16_to_f32(out.d) * 0.5f), zero = S::splat(0.0f), one = S::splat(1.0f);
    for (int i = 0; i < 256; i += 16) {
        const S v = S::load(x + i);
        (one + choose(less(half, v), one, zero) - choose(less(v, zero - half), one, zero)).store_bytes(out.q + i);
    }
}

QUERN_INLINE void pack(const Ternary& fit, TQ2_0::Block& out) {
    out.d = fit.d;
    pack_bit_pairs(fit.q, out.qs);
}

/// n bytes of five digits each, the first digits of all side by side, then the second.
template <int n, int n_digits>
QUERN_INLINE void pack_digits(const uint8_t* q, uint8_t* out) {
    for (int i = 0; i < n; ++i) {
        unsigned number = 0;
        for (int j = 0; j < n_digits; ++j) number = 3 * number + q[n * j + i];
        if (n_digits == 4) number *= 3;
        out[i] = static_cast<uint8_t>((number * 256 + 242) / 243);
    }
}

QUERN_INLINE void pack(const Ternary& fit, TQ1_0::Block& out) {
    out.d = fit.d;
    pack_digits<32, 5>(fit.q, out.qs);
    pack_digits<16, 5>(fit.q + 160, out.qs + 32);
    pack_digits<4, 4>(fit.q + 240, out.qh);
}

template <typename V, typename Format>
void encode_ternary(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<typename Format::Block*>(out);
    for (int64_t i = 0; i < n; i += 256) {
        Ternary fit;
        fit_ternary<V>(x + i, importance != nullptr ? importance + i : nullptr, fit);
        pack(fit, *block++);
    }
}

template <typename V>
inline constexpr auto encode_tq1_0 = encode_ternary<V, TQ1_0>;
template <typename V>
inline constexpr auto encode_tq2_0 = encode_ternary<V, TQ2_0>;

}  // namespace quern
