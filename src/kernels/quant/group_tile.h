// Sixteen groups of values side by side, as most encoders take them: a lane is a group, so that what is done for one is done for all, in
// an order that no instruction set changes. V is the Exact of an instruction set (simd/exact_scalar.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/quant/float/f16.h"
#include "kernels/simd/float_scalar.h"
#include "kernels/simd/sixteen.h"

namespace quern {

/// Values below this are zeros to every format: their scale would be no f16.
inline constexpr float least_magnitude = 1e-12f;
/// Above what any format but MXFP4 can hold, and small enough for sums of squares of products.
inline constexpr float most_magnitude = 0x1p34f;
inline constexpr float largest_f16 = 65504.0f;
/// Of the importance that is largest in a block: what never mattered while it was measured still must not become arbitrary.
inline constexpr float least_weight = 0x1p-20f;

/// The nearest finite f16; 0 for NaN.
QUERN_INLINE uint16_t nearest_f16(float value) {
    const float low = value > -largest_f16 ? value : (value <= -largest_f16 ? -largest_f16 : 0.0f);
    return scalar::f32_to_f16(low < largest_f16 ? low : largest_f16);
}

QUERN_INLINE void fill_lanes(float* lanes, int n, float value) {
    for (int i = 0; i < n; ++i) lanes[i] = value;
}

/// n values, a multiple of 32, with NaN as 0 and within +-limit; n_padded - n zeros follow.
template <typename V>
QUERN_LANES_INLINE void load_finite(const float* x, int n, int n_padded, float limit, float* out) {
    using S = Sixteen<V>;
    const S low = S::splat(-limit), high = S::splat(limit), zero = S::splat(0.0f);
    for (int i = 0; i < n; i += 16) {
        const S v = S::load(x + i);
        within(choose(less(magnitude(v), S::splat(0x1p127f)), v, choose(less(v, zero), low, choose(less(zero, v), high, zero))), low, high)
            .store(out + i);
    }
    for (int i = n; i < n_padded; ++i) out[i] = 0.0f;
}

template <typename V>
QUERN_LANES_INLINE float largest_magnitude(const float* x, int n) {
    using S = Sixteen<V>;
    S most = S::splat(0.0f);
    for (int i = 0; i < n; i += 16) most = max(magnitude(S::load(x + i)), most);
    return largest(most);
}

/// Weights of the n values of a block, a multiple of 16: the importance, with 1 as the largest; without one, or where it is 0 everywhere,
/// x^2 plus four times its mean: on SmolLM2 in IQ4_NL that gives a perplexity of 22.8, where even weights give 24.9 and x^2 alone 24.1.
template <typename V>
QUERN_LANES_INLINE void fit_weights(const float* x, const float* importance, int n, float* out) {
    using S = Sixteen<V>;
    const float most = importance != nullptr ? largest_magnitude<V>(importance, n) : 0.0f;
    if (most > 1e-30f && most < 1e38f) {
        const S inverse = S::splat(1.0f / most);
        for (int i = 0; i < n; i += 16) max(S::load(importance + i) * inverse, S::splat(least_weight)).store(out + i);
        return;
    }
    const float largest = largest_magnitude<V>(x, n);
    const bool empty = !(largest >= least_magnitude);
    const S inverse = S::splat(empty ? 0.0f : 1.0f / largest);
    S sum = S::splat(0.0f);
    for (int i = 0; i < n; i += 16) {
        const S share = S::load(x + i) * inverse, square = share * share;
        square.store(out + i);
        sum = sum + square;
    }
    const S even = S::splat(empty ? 1.0f : 4.0f / static_cast<float>(n) * total(sum));
    for (int i = 0; i < n; i += 16) (S::load(out + i) + even).store(out + i);
}

/// at[i] holds value i of each of sixteen groups.
template <typename V, int group>
struct Tile {
    Sixteen<V> at[group];

    /// The groups stand one after the other.
    QUERN_LANES_INLINE void load(const float* x) {
        for (int i0 = 0; i0 < group; i0 += 16) {
            Sixteen<V> rows[16];
            for (int lane = 0; lane < 16; ++lane) rows[lane] = Sixteen<V>::load(x + lane * group + i0);
            Sixteen<V>::transpose(rows);
            for (int i = 0; i < 16; ++i) at[i0 + i] = rows[i];
        }
    }
};

/// Sixteen groups with their weights, both one group after the other and side by side.
template <typename V, int group_values>
struct GroupTile {
    static constexpr int group = group_values;
    static constexpr int n_values = 16 * group;
    using S = Sixteen<V>;
    float x[n_values], w[n_values];
    Tile<V, group> xs, ws;

    /// @param n      values that there are, at most 16 groups of them; the others become zeros
    /// @param block  values that share a block: weights are relative to the largest in it
    QUERN_LANES_INLINE void load(const float* values, const float* importance, int n, int block) {
        load_finite<V>(values, n, n_values, most_magnitude, x);
        for (int i = 0; i < n; i += block) fit_weights<V>(x + i, importance != nullptr ? importance + i : nullptr, block, w + i);
        for (int i = n; i < n_values; ++i) w[i] = 1.0f;
        xs.load(x);
        ws.load(w);
    }

    /// Of each group the value of largest magnitude, with its sign.
    QUERN_LANES_INLINE S extremes() const {
        S out = xs.at[0];
        for (int i = 1; i < group; ++i) out = choose(less(magnitude(out), magnitude(xs.at[i])), xs.at[i], out);
        return out;
    }
};

/// Goes through a row in pieces of up to sixteen groups: encode(tile, first_block, n_blocks).
template <typename V, int group, int block, typename Encode>
QUERN_LANES_INLINE void for_tiles(const float* x, const float* importance, int64_t n, Encode&& encode) {
    GroupTile<V, group> tile;
    for (int64_t i = 0; i < n; i += tile.n_values) {
        const int here = static_cast<int>(n - i < tile.n_values ? n - i : tile.n_values);
        tile.load(x + i, importance != nullptr ? importance + i : nullptr, here, block);
        encode(tile, i / block, here / block);
    }
}

}  // namespace quern
