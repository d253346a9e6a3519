// Least squares for levels without an offset, x ~ scale * level: the search of Q4_0, Q5_0, Q8_0, Q3_K, Q6_K, IQ4_NL and IQ4_XS, for sixteen
// groups at a time. For given levels q the error is sum w x^2 - gain(s), gain(s) = 2 s sum w x q - s^2 sum w q^2; the best s is the
// quotient of the two sums. The levels are the parameter:
//     template <typename S> static S nearest(S v)    the level nearest to v, as a float
//     static constexpr float guesses[]               what the value of largest magnitude of a group may become
//     template <typename V> static void store(const Sixteen<V>& v, uint8_t* q)   the codes of the nearest levels
#pragma once

#include "kernels/quant/group_tile.h"

namespace quern {

template <typename S>
struct ScaleSums {
    S xq, qq;

    QUERN_LANES_INLINE S best_scale() const {
        const auto any = less(S::splat(0.0f), qq);
        return choose(any, xq / choose(any, qq, S::splat(1.0f)), S::splat(0.0f));
    }
    QUERN_LANES_INLINE S gain(S scale) const { return scale * (S::splat(2.0f) * xq - scale * qq); }
};

/// low .. high, evenly.
template <int low, int high>
struct EvenLevels {
    template <typename S>
    QUERN_LANES_INLINE static S nearest(S v) {
        return round(within(v, S::splat(low), S::splat(high)));
    }
    /// From 0 on.
    template <typename V>
    QUERN_LANES_INLINE static void store(const Sixteen<V>& v, uint8_t* q) {
        (nearest(v) - Sixteen<V>::splat(low)).store_bytes(q);
    }
};

template <typename V, typename Levels, int group>
class ScaleSearch {
    using S = Sixteen<V>;

  public:
    explicit ScaleSearch(const GroupTile<V, group>& tile) : tile_(tile) {}

    /// The best of a row of trial scales, improved.
    S run() const {
        const S extreme = tile_.extremes();
        const auto empty = less(magnitude(extreme), S::splat(least_magnitude));
        const S inverse_extreme = S::splat(1.0f) / choose(empty, S::splat(1.0f), extreme);
        S best = S::splat(0.0f), best_gain = S::splat(0.0f);
        const auto improve = [&](S inverted) __attribute__((always_inline)) {
            const ScaleSums<S> found = sums(inverted);
            const S fitted = found.best_scale(), gain = fitted * found.xq;
            const auto better = less(best_gain, gain);
            best = choose(better, fitted, best);
            best_gain = choose(better, gain, best_gain);
        };
        for (const float guess : Levels::guesses) improve(S::splat(guess) * inverse_extreme);
        for (int round = 0; round < 3; ++round) improve(inverse(best));
        return choose(empty, S::splat(0.0f), best);
    }

    QUERN_LANES_INLINE ScaleSums<S> sums(S inverted) const {
        ScaleSums<S> out{S::splat(0.0f), S::splat(0.0f)};
        for (int i = 0; i < group; ++i) {
            const S x = tile_.xs.at[i], q = Levels::nearest(x * inverted), wq = tile_.ws.at[i] * q;
            out.xq = out.xq + wq * x;
            out.qq = out.qq + wq * q;
        }
        return out;
    }

    /// 1 / v, or 0 for 0.
    QUERN_LANES_INLINE static S inverse(S v) {
        const auto any = less(S::splat(0.0f), magnitude(v));
        return choose(any, S::splat(1.0f) / choose(any, v, S::splat(1.0f)), S::splat(0.0f));
    }

  private:
    const GroupTile<V, group>& tile_;
};

/// The codes of n values of one group, a multiple of 16, as they stand.
template <typename V, typename Levels>
QUERN_LANES_INLINE void store_levels(const float* x, int n, float scale, uint8_t* q) {
    using S = Sixteen<V>;
    const S inverse = S::splat(scale != 0.0f ? 1.0f / scale : 0.0f);
    for (int i = 0; i < n; i += 16) Levels::template store<V>(S::load(x + i) * inverse, q + i);
}

}  // namespace quern
