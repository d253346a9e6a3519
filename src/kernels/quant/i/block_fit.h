// Blocks of 256 values as groups with small integer scales under one f16: x ~ d * unit * (2 * code + 1) * q, with q from a code book: IQ1,
// IQ2 and IQ3. The weighted squared error is made small over d, the scale codes and the codes of q together. The format is the parameter:
//     using Vocabulary                             the Exact of an instruction set
//     static constexpr int group, top_code         values of a group; the largest scale code
//     static constexpr float unit
//     static constexpr float top_multipliers[]     what the group of the largest scale may get
//     static constexpr float guesses[]             q that a group's value of largest magnitude may become
//     struct Codes                                 of one group; value-initialised ones are valid
//     void prepare(float* x, const float* w, uint8_t* signs) const       takes out the signs of 256 values, where the format has them apart
//     FitSums assign(const float* x, const float* w, float scale, Codes& codes) const   the best codes at this scale
#pragma once

#include "kernels/quant/group_tile.h"

namespace quern {

/// Of w x q and w q^2.
struct FitSums {
    float xq = 0.0f, qq = 0.0f;

    QUERN_LANES_INLINE float best_scale() const { return qq > 0.0f ? xq / qq : 0.0f; }
    QUERN_LANES_INLINE float gain(float scale) const { return scale * (2.0f * xq - scale * qq); }
};

template <typename Format>
struct FittedBlock {
    static constexpr int n_groups = 256 / Format::group;
    uint16_t d = 0;
    uint8_t signs[32] = {};  ///< of 8 values each
    int scale_codes[n_groups] = {};
    typename Format::Codes codes[n_groups] = {};
    float gain = 0.0f;
    FitSums sums;  ///< of all values with multiplier * q as the level
};

template <typename Format>
class BlockFit {
    using V = typename Format::Vocabulary;
    using Codes = typename Format::Codes;
    using Fitted = FittedBlock<Format>;
    static constexpr int group = Format::group;
    static constexpr int n_groups = Fitted::n_groups;

  public:
    explicit BlockFit(const Format& format) : format_(format) {}

    Fitted run(const float* x, const float* importance) {
        Fitted best;
        load_finite<V>(x, 256, 256, most_magnitude, x_);
        fit_weights<V>(x_, importance, 256, w_);
        if (!(largest_magnitude<V>(x_, 256) >= least_magnitude)) return best;
        uint8_t signs[32];
        std::memset(signs, 0, sizeof signs);
        format_.prepare(x_, w_, signs);
        float scales[n_groups], largest = 0.0f;
        for (int g = 0; g < n_groups; ++g) {
            scales[g] = group_scale(g);
            largest = largest < scales[g] ? scales[g] : largest;
        }
        for (const float top : Format::top_multipliers) keep_better(best, largest / (top * Format::unit), scales, 0);
        for (int round = 0; round < 3; ++round)
            if (!keep_better(best, best.sums.best_scale() / Format::unit, scales, 1)) break;
        std::memcpy(best.signs, signs, sizeof signs);
        return best;
    }

  private:
    /// The best scale that this group would have alone.
    float group_scale(int g) const {
        const float* const x = x_ + g * group;
        const float extreme = largest_magnitude<V>(x, group);
        if (!(extreme >= least_magnitude)) return 0.0f;
        float best_gain = 0.0f, best = 0.0f;
        const auto improve = [&](float scale) {
            Codes codes;
            const FitSums sums = format_.assign(x, w_ + g * group, scale, codes);
            const float fitted = sums.best_scale(), gain = sums.gain(fitted);
            if (!(gain > best_gain) || !(fitted > 0.0f)) return false;
            best_gain = gain;
            best = fitted;
            return true;
        };
        for (const float guess : Format::guesses) improve(extreme / guess);
        for (int round = 0; round < 3 && best > 0.0f; ++round)
            if (!improve(best)) break;
        return best;
    }

    static int nearest_code(float ratio) {
        const float half = ratio * 0.5f, top = static_cast<float>(Format::top_code);
        return half > 0.0f ? static_cast<int>(half < top ? half : top) : 0;
    }

    /// Codes for the f16 nearest to d, with scale codes up to `reach` from the nearest to the group's own scale.
    bool keep_better(Fitted& best, float d, const float* scales, int reach) const {
        Fitted trial;
        trial.d = nearest_f16(d);
        const float unit = f16_to_f32(trial.d) * Format::unit;
        if (!(unit > 0.0f)) return false;
        for (int g = 0; g < n_groups; ++g) {
            const int near = nearest_code(scales[g] / unit);
            const int first = near > reach ? near - reach : 0, last = near + reach < Format::top_code ? near + reach : Format::top_code;
            float group_gain = 0.0f;
            FitSums group_sums;
            for (int code = first; code <= last; ++code) {
                const float multiplier = static_cast<float>(2 * code + 1), scale = unit * multiplier;
                Codes codes{};
                const FitSums sums = format_.assign(x_ + g * group, w_ + g * group, scale, codes);
                const float gain = sums.gain(scale);
                if (code > first && !(gain > group_gain)) continue;
                group_gain = gain;
                group_sums = {sums.xq * multiplier, sums.qq * (multiplier * multiplier)};
                trial.scale_codes[g] = code;
                trial.codes[g] = codes;
            }
            trial.gain += group_gain;
            trial.sums.xq += group_sums.xq;
            trial.sums.qq += group_sums.qq;
        }
        if (!(trial.gain > best.gain)) return false;
        best = trial;
        return true;
    }

    const Format& format_;
    float x_[256], w_[256];
};

/// A row, with pack(const FittedBlock<Fit>&, Format::Block&) for its blocks.
template <typename Format, typename Fit>
QUERN_LANES_INLINE void encode_from_book(const Fit& fit, const float* x, const float* importance, int64_t n, std::byte* out) {
    auto* block = reinterpret_cast<typename Format::Block*>(out);
    BlockFit<Fit> search(fit);
    for (int64_t i = 0; i < n; i += 256) pack(search.run(x + i, importance != nullptr ? importance + i : nullptr), *block++);
}

}  // namespace quern
