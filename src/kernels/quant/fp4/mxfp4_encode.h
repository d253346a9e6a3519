// MXFP4: the exponent with the least weighted squared error, of those at which the largest value is near the largest level; for sixteen
// blocks at a time.
#pragma once

#include "kernels/quant/fp4/mxfp4.h"
#include "kernels/quant/group_tile.h"

namespace quern {

/// The nearest of the levels 0, 1, 2, 3, 4, 6, 8 and 12. REQUIRES: m >= 0.
template <typename V>
QUERN_LANES_INLINE Sixteen<V> nearest_fp4(const Sixteen<V>& m) {
    using S = Sixteen<V>;
    const S top = min(m, S::splat(12.0f));
    const S twos = round(top * S::splat(0.5f)), fours = round(top * S::splat(0.25f));
    const S high = choose(less(top, S::splat(8.0f)), twos + twos, fours * S::splat(4.0f));
    return choose(less(top, S::splat(4.0f)), round(top), high);
}

/// The codes of 32 values in units of the scale.
template <typename V>
QUERN_LANES_INLINE void store_fp4(const float* x, float inverse, uint8_t* q) {
    using S = Sixteen<V>;
    const S zero = S::splat(0.0f), one = S::splat(1.0f);
    for (int i = 0; i < 32; i += 16) {
        const S v = S::load(x + i) * S::splat(inverse), level = nearest_fp4<V>(magnitude(v));
        S code = min(level, S::splat(4.0f));
        for (const float below : {5.0f, 7.0f, 10.0f}) code = code + choose(less(S::splat(below), level), one, zero);
        const auto negative = less(choose(less(zero, level), v, zero), zero);
        choose(negative, code + S::splat(8.0f), code).store_bytes(q + i);
    }
}

/// The largest e with 2^(e - 128) <= v / 8, as near as exponents go: from the bits of v.
QUERN_INLINE int exponent_below(float v) {
    uint32_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    return static_cast<int>(bits >> 23 & 255) + 1 - 3;
}

template <typename V>
void encode_mxfp4(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    using S = Sixteen<V>;
    constexpr int most_e = 252;  // above, the largest level is no float
    auto* blocks = reinterpret_cast<MXFP4::Block*>(out);
    for (int64_t first = 0; first < n; first += 512) {
        const int here = static_cast<int>(n - first < 512 ? n - first : 512);
        // Relative to each block's largest value: sums of squares neither overflow nor vanish, whatever its exponent.
        float values[512], w[512], relative[512], mosts[16];
        Tile<V, 32> xs, ws;
        load_finite<V>(x + first, here, 512, 0x1p126f, values);
        for (int b = 0; b < 16; ++b) {
            mosts[b] = largest_magnitude<V>(values + 32 * b, 32);
            const bool empty = !(mosts[b] >= 1e-37f);
            const S inverse = S::splat(empty ? 0.0f : 1.0f / mosts[b]);
            for (int i = 32 * b; i < 32 * (b + 1); i += 16) (S::load(values + i) * inverse).store(relative + i);
            fit_weights<V>(relative + 32 * b, importance != nullptr && 32 * b < here ? importance + first + 32 * b : nullptr, 32,
                           w + 32 * b);
        }
        xs.load(relative);
        ws.load(w);
        float best_gain[16] = {}, best_e[16] = {};
        S best = S::splat(0.0f), chosen = S::splat(0.0f);
        for (int step = -1; step <= 2; ++step) {
            float inverses[16], scales[16], es[16];
            for (int b = 0; b < 16; ++b) {
                const int wanted = exponent_below(mosts[b]) + step, e = wanted < 1 ? 1 : wanted > most_e ? most_e : wanted;
                const float scale = half_power(static_cast<uint8_t>(e)), most = mosts[b] >= 1e-37f ? mosts[b] : 1.0f;
                es[b] = static_cast<float>(e);
                scales[b] = scale / most;
                inverses[b] = most / scale;
            }
            const S inverse = S::load(inverses), scale = S::load(scales);
            S gain = S::splat(0.0f);
            for (int i = 0; i < 32; ++i) {
                const S v = magnitude(xs.at[i]) * inverse, level = nearest_fp4<V>(v);
                gain = gain + ws.at[i] * (level * (v + v - level));
            }
            gain = gain * (scale * scale);
            const auto better = less(best, gain);
            best = choose(better, gain, best);
            chosen = choose(better, S::load(es), chosen);
        }
        best.store(best_gain);
        chosen.store(best_e);
        for (int b = 0; b < here / 32; ++b) {
            MXFP4::Block& block = blocks[first / 32 + b];
            block = {};
            if (!(mosts[b] >= 1e-37f) || !(best_gain[b] > 0.0f)) continue;
            block.e = static_cast<uint8_t>(best_e[b]);
            uint8_t q[32];
            store_fp4<V>(values + 32 * b, 1.0f / half_power(block.e), q);
            for (int i = 0; i < 16; ++i) block.qs[i] = static_cast<uint8_t>(q[i] | q[16 + i] << 4);
        }
    }
}

}  // namespace quern
