// Least squares for levels with an offset, x ~ scale * q + offset with q in 0 .. top: the search of Q4_1, Q5_1, Q2_K, Q4_K and Q5_K.
// Plain f32 in a fixed order: the same bits on every machine.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/quant/i/fit.h"

namespace quern {

/// v to the nearest integer, ties to even. REQUIRES: |v| < 2^22.
inline float nearest_integer(float v) {
    const float shifted = v + 0x1.8p23f;  // here a float's last place is 1
    return shifted - 0x1.8p23f;
}

/// The level of x: NaNs and what is out of range go to an end.
inline float level_of(float x, float inverse, float offset, float top) {
    return nearest_integer(within((x - offset) * inverse, 0.0f, top));
}

struct AffineFit {
    float scale = 0.0f, offset = 0.0f;
    float error = 0.0f;  ///< weighted squared error
};

/// n values, a multiple of 8, and their weights. V is a vocabulary of kernels/simd/; products are rounded before they are added, so that
/// all of them give the same bits.
template <typename V, int n>
class AffineSearch {
    using Floats = typename V::Floats;
    static constexpr int n_vectors = n / 8;

  public:
    /// @param non_positive  the offset may not be above 0, as in formats that subtract a minimum
    AffineSearch(const float* x, const float* w, float top, bool non_positive) : x_(x), w_(w), top_(top), non_positive_(non_positive) {
        Floats ws = V::zero(), xs = V::zero(), xxs = V::zero();
        for (int i = 0; i < n; i += 8) {
            const Floats wv = V::load_floats(w + i), xv = V::load_floats(x + i), wx = V::times(wv, xv);
            ws = V::add(ws, wv);
            xs = V::add(xs, wx);
            xxs = V::add(xxs, V::times(wx, xv));
        }
        sum_w_ = V::total(ws);
        sum_x_ = V::total(xs);
        sum_xx_ = V::total(xxs);
    }

    /// The best of a row of trial scales, each with the offset and scale that suit its levels best.
    AffineFit run() const {
        float least = x_[0], most = x_[0];
        for (int i = 1; i < n; ++i) {
            least = std::min(least, x_[i]);
            most = std::max(most, x_[i]);
        }
        if (non_positive_) least = std::min(least, 0.0f);
        AffineFit best{.scale = 0.0f, .offset = constant(), .error = 0.0f};
        best.error = error_of(0.0f, best.offset);
        const float range = most - least;
        if (!(range >= least_magnitude)) return best;
        constexpr int n_trials = 24;
        for (int k = 0; k < n_trials; ++k) {
            const float wider = top_ + 0.1f * static_cast<float>(k - 10);
            improve(best, range / wider, least);
        }
        for (int round = 0; round < 3 && best.scale > 0.0f; ++round)
            if (!improve(best, best.scale, best.offset)) break;
        return best;
    }

    /// The weighted squared error with the best levels for this scale and offset.
    float error_of(float scale, float offset) const {
        const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        Floats error = V::zero();
        for (int i = 0; i < n; i += 8) {
            const Floats xv = V::load_floats(x_ + i);
            const Floats value = V::add(V::times(V::splat(scale), levels(xv, inverse, offset)), V::splat(offset));
            const Floats d = V::subtract(xv, value);
            error = V::add(error, V::times(V::times(V::load_floats(w_ + i), d), d));
        }
        return V::total(error);
    }

    /// The best levels themselves.
    void choose_levels(float scale, float offset, uint8_t* q) const {
        const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        for (int i = 0; i < n; i += 8) {
            float values[8];
            V::store_floats(values, levels(V::load_floats(x_ + i), inverse, offset));
            for (int j = 0; j < 8; ++j) q[i + j] = static_cast<uint8_t>(values[j]);
        }
    }

  private:
    Floats levels(Floats x, float inverse, float offset) const {
        const Floats exact = V::times(V::subtract(x, V::splat(offset)), V::splat(inverse));
        return V::to_floats(V::round(V::within(exact, V::zero(), V::splat(top_))));
    }

    float constant() const {
        const float mean = sum_w_ > 0.0f ? sum_x_ / sum_w_ : 0.0f;
        return non_positive_ ? std::min(mean, 0.0f) : mean;
    }

    // Levels by the trial, then the scale and offset that minimise the error for these levels.
    bool improve(AffineFit& best, float scale, float offset) const {
        const float inverse = 1.0f / scale;
        Floats q_sums = V::zero(), qq_sums = V::zero(), xq_sums = V::zero();
        for (int i = 0; i < n; i += 8) {
            const Floats xv = V::load_floats(x_ + i), q = levels(xv, inverse, offset), wq = V::times(V::load_floats(w_ + i), q);
            q_sums = V::add(q_sums, wq);
            qq_sums = V::add(qq_sums, V::times(wq, q));
            xq_sums = V::add(xq_sums, V::times(wq, xv));
        }
        const float q_sum = V::total(q_sums), qq_sum = V::total(qq_sums), xq_sum = V::total(xq_sums);
        const float determinant = sum_w_ * qq_sum - q_sum * q_sum;
        const bool solvable = determinant > 1e-5f * sum_w_ * qq_sum;  // else all levels are one
        float fitted = solvable ? (sum_w_ * xq_sum - sum_x_ * q_sum) / determinant : 0.0f;
        float base = solvable ? (qq_sum * sum_x_ - q_sum * xq_sum) / determinant : 0.0f;
        if (non_positive_ && (!solvable || base > 0.0f)) {
            base = 0.0f;
            fitted = qq_sum > 0.0f ? xq_sum / qq_sum : 0.0f;
        }
        if (!(fitted > 0.0f)) return false;
        const float error = sum_xx_ + fitted * fitted * qq_sum + base * base * sum_w_ - 2.0f * (fitted * xq_sum + base * sum_x_) +
                            2.0f * fitted * base * q_sum;
        if (!(error < best.error)) return false;
        best = {fitted, base, error};
        return true;
    }

    const float* x_;
    const float* w_;
    float top_;
    bool non_positive_;
    float sum_w_ = 0.0f, sum_x_ = 0.0f, sum_xx_ = 0.0f;
};

}  // namespace quern
