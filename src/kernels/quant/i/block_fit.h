// Blocks of 256 values as groups with small integer scales under one f16: x ~ d * unit * multiplier[g] * q, the weighted squared error
// made small over d, the multipliers and the codes of q together. The format is the parameter:
//     static constexpr int group, n_scales         values of a group; scale codes
//     static constexpr float unit
//     static constexpr int top_multipliers[]       what the group of the largest scale may get
//     static int multiplier(int code)              increasing
//     static int nearest_code(float ratio)         the code with the nearest multiplier
//     static constexpr bool any_sign               scales may be negative
//     static constexpr float guesses[]             q that a group's value of largest magnitude may become
//     struct Codes                                 of one group; value-initialised ones are valid
//     static FitSums assign(const float* x, const float* w, float scale, Codes& codes)   the best codes at this scale
#pragma once

#include "kernels/quant/i/fit.h"

namespace quern {

template <typename Format>
struct FittedBlock {
    static constexpr int n_groups = 256 / Format::group;
    uint16_t d = 0;
    int scale_codes[n_groups] = {};
    typename Format::Codes codes[n_groups] = {};
    float gain = 0.0f;
    FitSums sums;  ///< of all values with multiplier * q as the level
};

template <typename Format>
class BlockFit {
    using Codes = typename Format::Codes;
    using Fitted = FittedBlock<Format>;
    static constexpr int group = Format::group;
    static constexpr int n_groups = Fitted::n_groups;

  public:
    static Fitted run(const float* x, const float* importance) {
        float w[256];
        load_fit_weights(x, importance, 256, w);
        const BlockFit fit(x, w);
        Fitted best;
        if (!(largest_magnitude(x, 256) >= least_magnitude)) return best;
        float scales[n_groups];
        for (int g = 0; g < n_groups; ++g) scales[g] = fit.group_scale(g);
        const float largest = *std::max_element(scales, scales + n_groups, [](float a, float b) { return std::abs(a) < std::abs(b); });
        for (const int top : Format::top_multipliers) {
            const Fitted trial = fit.with_scale(largest / (static_cast<float>(top) * Format::unit), scales, 0);
            if (trial.gain > best.gain) best = trial;
        }
        for (int round = 0; round < 3; ++round) {
            const Fitted trial = fit.with_scale(best.sums.best_scale() / Format::unit, scales, 1);
            if (!(trial.gain > best.gain)) break;
            best = trial;
        }
        return best;
    }

  private:
    BlockFit(const float* x, const float* w) : x_(x), w_(w) {}

    /// The best scale that this group would have alone.
    float group_scale(int g) const {
        const float* const x = x_ + g * group;
        float extreme = 0.0f;
        for (int i = 0; i < group; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
        if (!(std::abs(extreme) >= least_magnitude)) return 0.0f;
        float best_gain = 0.0f, best = 0.0f;
        const auto improve = [&](float scale) {
            Codes codes{};
            const FitSums sums = Format::assign(x, w_ + g * group, scale, codes);
            const float fitted = sums.best_scale(), gain = sums.gain(fitted);
            if (!(gain > best_gain) || (!Format::any_sign && !(fitted > 0.0f))) return false;
            best_gain = gain;
            best = fitted;
            return true;
        };
        for (const float guess : Format::guesses) improve((Format::any_sign ? extreme : std::abs(extreme)) / guess);
        for (int round = 0; round < 3 && best != 0.0f; ++round)
            if (!improve(best)) break;
        return best;
    }

    /// Codes for the f16 nearest to d, with multipliers up to `reach` steps from the nearest to the group's own scale.
    Fitted with_scale(float d, const float* scales, int reach) const {
        Fitted out;
        out.d = nearest_f16(d);
        const float unit = f16_to_f32(out.d) * Format::unit;
        if (!(std::abs(unit) > 0.0f)) return out;
        for (int g = 0; g < n_groups; ++g) {
            const int near = Format::nearest_code(scales[g] / unit);
            const int first = std::max(near - reach, 0), last = std::min(near + reach, Format::n_scales - 1);
            float best = 0.0f;
            FitSums best_sums;
            for (int code = first; code <= last; ++code) {
                const float multiplier = static_cast<float>(Format::multiplier(code)), scale = unit * multiplier;
                Codes codes{};
                FitSums sums;
                if (scale != 0.0f) sums = Format::assign(x_ + g * group, w_ + g * group, scale, codes);
                const float gain = sums.gain(scale);
                if (code > first && !(gain > best)) continue;
                best = gain;
                best_sums = {sums.xq * multiplier, sums.qq * (multiplier * multiplier)};
                out.scale_codes[g] = code;
                out.codes[g] = codes;
            }
            out.gain += best;
            out.sums.add(best_sums);
        }
        return out;
    }

    const float* x_;
    const float* w_;
};

}  // namespace quern
