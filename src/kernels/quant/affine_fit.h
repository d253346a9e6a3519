// Least squares for levels with an offset, x ~ scale * q + offset with q in 0 .. top: the search of Q4_1, Q5_1, Q2_K, Q4_K and Q5_K, for
// sixteen groups at a time.
#pragma once

#include "kernels/quant/group_tile.h"

namespace quern {

template <typename S>
struct AffineFit {
    S scale, offset;
    S error;  ///< weighted squared error
};

template <typename S>
struct AffineSums {
    S q, qq, xq;  ///< sums of w q, w q^2 and w x q
};

template <typename V, int group>
class AffineSearch {
    using S = Sixteen<V>;
    using Fit = AffineFit<S>;

  public:
    /// @param top           the highest level
    /// @param non_positive  offsets may not be above 0, as in formats that subtract a minimum
    AffineSearch(const GroupTile<V, group>& tile, float top, bool non_positive)
        : tile_(tile), top_(top), non_positive_(non_positive), sum_w_(zero()), sum_x_(zero()), sum_xx_(zero()) {
        for (int i = 0; i < group; ++i) {
            const S x = tile.xs.at[i], wx = tile.ws.at[i] * x;
            sum_w_ = sum_w_ + tile.ws.at[i];
            sum_x_ = sum_x_ + wx;
            sum_xx_ = sum_xx_ + wx * x;
        }
    }

    /// The best of a row of trial scales, each with the offset and scale that suit its levels best.
    Fit run() const {
        S lowest = tile_.xs.at[0], highest = tile_.xs.at[0];
        for (int i = 1; i < group; ++i) {
            lowest = min(lowest, tile_.xs.at[i]);
            highest = max(highest, tile_.xs.at[i]);
        }
        if (non_positive_) lowest = min(lowest, zero());
        Fit best{zero(), constant(), zero()};
        best.error = error_of(best.scale, best.offset);
        const S range = highest - lowest;
        const auto is_flat = less(range, S::splat(least_magnitude));
        const S inverse_range = S::splat(1.0f) / choose(is_flat, S::splat(1.0f), range);
        constexpr int n_trials = 20;
        for (int k = 0; k < n_trials; ++k) improve(best, inverse_range * S::splat(top_ + 0.12f * static_cast<float>(k - 8)), lowest);
        for (int round = 0; round < 3; ++round) improve(best, inverse(best.scale), best.offset);
        best.scale = choose(is_flat, zero(), best.scale);
        best.offset = choose(is_flat, constant(), best.offset);
        return best;
    }

    /// The weighted squared error with the best levels for this scale and offset.
    QUERN_LANES_INLINE S error_of(S scale, S offset) const {
        const S inverted = inverse(scale);
        S error = zero();
        for (int i = 0; i < group; ++i) {
            const S y = tile_.xs.at[i] - offset, difference = y - scale * levels(y * inverted);
            error = error + tile_.ws.at[i] * difference * difference;
        }
        return error;
    }

    QUERN_LANES_INLINE AffineSums<S> sums(S inverted, S offset) const {
        AffineSums<S> out{zero(), zero(), zero()};
        for (int i = 0; i < group; ++i) {
            const S x = tile_.xs.at[i], q = levels((x - offset) * inverted), wq = tile_.ws.at[i] * q;
            out.q = out.q + wq;
            out.qq = out.qq + wq * q;
            out.xq = out.xq + wq * x;
        }
        return out;
    }

    /// 1 / v, or 0 for 0 and below.
    QUERN_LANES_INLINE static S inverse(S v) {
        const auto positive = less(zero(), v);
        return choose(positive, S::splat(1.0f) / choose(positive, v, S::splat(1.0f)), zero());
    }
    S sum_w() const { return sum_w_; }
    S sum_x() const { return sum_x_; }

  private:
    QUERN_LANES_INLINE static S zero() { return S::splat(0.0f); }
    QUERN_LANES_INLINE S levels(S exact) const { return round(within(exact, zero(), S::splat(top_))); }

    QUERN_LANES_INLINE S constant() const {
        const S mean = sum_x_ / sum_w_;
        return non_positive_ ? min(mean, zero()) : mean;
    }

    // Levels by the trial, then the scale and offset that minimise the error for these levels.
    QUERN_LANES_INLINE void improve(Fit& best, S inverted, S offset) const {
        const auto [q, qq, xq] = sums(inverted, offset);
        const S determinant = sum_w_ * qq - q * q;
        const auto solvable = less(S::splat(1e-5f) * sum_w_ * qq, determinant);  // else all levels are one
        const S share = S::splat(1.0f) / choose(solvable, determinant, S::splat(1.0f));
        S scale = choose(solvable, (sum_w_ * xq - sum_x_ * q) * share, zero());
        S base = choose(solvable, (qq * sum_x_ - q * xq) * share, zero());
        if (non_positive_) {
            const auto raised = less(zero(), choose(solvable, base, S::splat(1.0f)));
            scale = choose(raised, xq * inverse(qq), scale);
            base = choose(raised, zero(), base);
        }
        const S two = S::splat(2.0f);
        const S error = sum_xx_ + scale * scale * qq + base * base * sum_w_ - two * (scale * xq + base * sum_x_) + two * scale * base * q;
        const auto better = less(choose(less(zero(), scale), error, best.error), best.error);
        best = {choose(better, scale, best.scale), choose(better, base, best.offset), choose(better, error, best.error)};
    }

    const GroupTile<V, group>& tile_;
    float top_;
    bool non_positive_;
    S sum_w_, sum_x_, sum_xx_;
};

/// Levels of `n` values of one group, a multiple of 16, as they stand.
template <typename V>
QUERN_LANES_INLINE void affine_levels(const float* x, int n, float scale, float offset, float top, uint8_t* q) {
    using S = Sixteen<V>;
    const S inverse = S::splat(scale > 0.0f ? 1.0f / scale : 0.0f);
    for (int i = 0; i < n; i += 16)
        round(within((S::load(x + i) - S::splat(offset)) * inverse, S::splat(0.0f), S::splat(top))).store_bytes(q + i);
}

}  // namespace quern
