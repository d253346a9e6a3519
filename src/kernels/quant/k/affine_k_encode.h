// Q2_K, Q4_K and Q5_K: each group gets its best scale and minimum (affine_fit.h); these become small integers under two f16, which are
// fitted again to all values of the block, as are the integers. Written once, compiled for each instruction set, with the same bits.
#pragma once

#include "kernels/quant/affine_fit.h"
#include "kernels/quant/k/q2_k.h"
#include "kernels/quant/k/q4_k.h"
#include "kernels/quant/k/q5_k.h"

namespace quern {

template <int group_values>
struct AffineBlock {
    static constexpr int n_groups = 256 / group_values;
    uint16_t d = 0, dmin = 0;
    uint8_t scales[n_groups] = {}, mins[n_groups] = {};
    uint8_t q[256] = {};
};

/// @param top_q  the highest level  @param top_code  the highest integer for scales and minimums
template <typename V, int group>
class AffineBlockFit {
    using Block = AffineBlock<group>;
    static constexpr int n_groups = Block::n_groups;

  public:
    AffineBlockFit(const float* x, const float* importance, float top_q, int top_code) : x_(x), top_q_(top_q), top_code_(top_code) {
        load_fit_weights(x, importance, 256, w_);
    }

    Block run() const {
        float scales[n_groups], mins[n_groups], largest_scale = 0.0f, largest_min = 0.0f;
        for (int g = 0; g < n_groups; ++g) {
            const AffineFit fit = search(g).run();
            scales[g] = fit.scale;
            mins[g] = -fit.offset;
            largest_scale = std::max(largest_scale, scales[g]);
            largest_min = std::max(largest_min, mins[g]);
        }
        const auto top = static_cast<float>(top_code_);
        Block best = with_units(largest_scale / top, largest_min / top, scales, mins);
        float best_error = error_of(best);
        for (int round = 0; round < 2; ++round) {
            float d, dmin;
            if (!refit(best, d, dmin)) break;
            const Block trial = with_units(d, dmin, scales, mins);
            const float error = error_of(trial);
            if (!(error < best_error)) break;
            best = trial;
            best_error = error;
        }
        return best;
    }

  private:
    AffineSearch<V, group> search(int g) const { return {x_ + g * group, w_ + g * group, top_q_, true}; }

    uint8_t code_of(float value, float unit, int step) const {
        const float code = unit > 0.0f ? nearest_integer(within(value / unit, 0.0f, static_cast<float>(top_code_))) : 0.0f;
        return static_cast<uint8_t>(std::clamp(static_cast<int>(code) + step, 0, top_code_));
    }

    /// The best integers near those of the groups' own scales and minimums, and the levels.
    Block with_units(float d_wanted, float dmin_wanted, const float* scales, const float* mins) const {
        Block out;
        out.d = nearest_f16(d_wanted);
        out.dmin = nearest_f16(dmin_wanted);
        const float d = f16_to_f32(out.d), dmin = f16_to_f32(out.dmin);
        for (int g = 0; g < n_groups; ++g) {
            const AffineSearch<V, group> group_search = search(g);
            float best = -1.0f;
            for (int s = -1; s <= 1; ++s)
                for (int m = -1; m <= 1; ++m) {
                    const uint8_t scale = code_of(scales[g], d, s), min = code_of(mins[g], dmin, m);
                    const float error = group_search.error_of(d * static_cast<float>(scale), -(dmin * static_cast<float>(min)));
                    if (best >= 0.0f && !(error < best)) continue;
                    best = error;
                    out.scales[g] = scale;
                    out.mins[g] = min;
                }
            group_search.choose_levels(d * static_cast<float>(out.scales[g]), -(dmin * static_cast<float>(out.mins[g])), out.q + g * group);
        }
        return out;
    }

    /// d and dmin of the least error for the integers and levels of a block.
    bool refit(const Block& block, float& d, float& dmin) const {
        float aa = 0.0f, ab = 0.0f, bb = 0.0f, xa = 0.0f, xb = 0.0f;
        for (int g = 0; g < n_groups; ++g) {
            typename V::Floats ws = V::zero(), qs = V::zero(), qqs = V::zero(), xs = V::zero(), xqs = V::zero();
            for (int i = g * group; i < (g + 1) * group; i += 8) {
                const auto w = V::load_floats(w_ + i), x = V::load_floats(x_ + i), q = levels_of(block.q + i), wq = V::times(w, q);
                ws = V::add(ws, w);
                qs = V::add(qs, wq);
                qqs = V::add(qqs, V::times(wq, q));
                xs = V::add(xs, V::times(w, x));
                xqs = V::add(xqs, V::times(wq, x));
            }
            const auto scale = static_cast<float>(block.scales[g]), min = -static_cast<float>(block.mins[g]);
            aa += scale * scale * V::total(qqs);
            ab += scale * min * V::total(qs);
            bb += min * min * V::total(ws);
            xa += scale * V::total(xqs);
            xb += min * V::total(xs);
        }
        const float determinant = aa * bb - ab * ab;
        if (determinant > 1e-6f * aa * bb && bb > 0.0f) {
            d = (xa * bb - xb * ab) / determinant;
            dmin = (xb * aa - xa * ab) / determinant;
        } else {
            d = aa > 0.0f ? xa / aa : 0.0f;
            dmin = f16_to_f32(block.dmin);
        }
        return d > 0.0f && dmin >= 0.0f;
    }

    float error_of(const Block& block) const {
        const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
        float error = 0.0f;
        for (int g = 0; g < n_groups; ++g) {
            const auto scale = V::splat(d * static_cast<float>(block.scales[g])),
                       offset = V::splat(-(dmin * static_cast<float>(block.mins[g])));
            typename V::Floats sum = V::zero();
            for (int i = g * group; i < (g + 1) * group; i += 8) {
                const auto difference = V::subtract(V::load_floats(x_ + i), V::add(V::times(scale, levels_of(block.q + i)), offset));
                sum = V::add(sum, V::times(V::times(V::load_floats(w_ + i), difference), difference));
            }
            error += V::total(sum);
        }
        return error;
    }

    static typename V::Floats levels_of(const uint8_t* q) {
        float values[8];
        for (int i = 0; i < 8; ++i) values[i] = static_cast<float>(q[i]);
        return V::load_floats(values);
    }

    const float* x_;
    float top_q_;
    int top_code_;
    float w_[256];
};

/// As unpack_scales_and_mins() reads them.
inline void pack_scales_and_mins(const uint8_t* scales, const uint8_t* mins, uint8_t* packed) {
    for (int i = 0; i < 4; ++i) {
        packed[i] = static_cast<uint8_t>(scales[i] | scales[4 + i] >> 4 << 6);
        packed[4 + i] = static_cast<uint8_t>(mins[i] | mins[4 + i] >> 4 << 6);
        packed[8 + i] = static_cast<uint8_t>((scales[4 + i] & 15) | (mins[4 + i] & 15) << 4);
    }
}

inline void pack_nibbles_k(const uint8_t* q, uint8_t* qs) {
    for (int pair = 0; pair < 4; ++pair)
        for (int i = 0; i < 32; ++i) qs[32 * pair + i] = static_cast<uint8_t>((q[64 * pair + i] & 15) | (q[64 * pair + 32 + i] & 15) << 4);
}

template <typename V>
void encode_q4_k_with(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<Q4_K::Block*>(out);
    for (int64_t i = 0; i < n; i += 256, ++block) {
        const AffineBlock<32> fit = AffineBlockFit<V, 32>(x + i, importance != nullptr ? importance + i : nullptr, 15, 63).run();
        block->d = fit.d;
        block->dmin = fit.dmin;
        pack_scales_and_mins(fit.scales, fit.mins, block->scales);
        pack_nibbles_k(fit.q, block->qs);
    }
}

template <typename V>
void encode_q5_k_with(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<Q5_K::Block*>(out);
    for (int64_t i = 0; i < n; i += 256, ++block) {
        const AffineBlock<32> fit = AffineBlockFit<V, 32>(x + i, importance != nullptr ? importance + i : nullptr, 31, 63).run();
        *block = {};
        block->d = fit.d;
        block->dmin = fit.dmin;
        pack_scales_and_mins(fit.scales, fit.mins, block->scales);
        pack_nibbles_k(fit.q, block->qs);
        for (int v = 0; v < 256; ++v) block->qh[v % 32] = static_cast<uint8_t>(block->qh[v % 32] | (fit.q[v] >> 4) << v / 32);
    }
}

template <typename V>
void encode_q2_k_with(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<Q2_K::Block*>(out);
    for (int64_t i = 0; i < n; i += 256, ++block) {
        const AffineBlock<16> fit = AffineBlockFit<V, 16>(x + i, importance != nullptr ? importance + i : nullptr, 3, 15).run();
        *block = {};
        block->d = fit.d;
        block->dmin = fit.dmin;
        for (int g = 0; g < 16; ++g) block->scales[g] = static_cast<uint8_t>(fit.scales[g] | fit.mins[g] << 4);
        for (int v = 0; v < 256; ++v) {
            uint8_t& byte = block->qs[v / 128 * 32 + v % 32];
            byte = static_cast<uint8_t>(byte | fit.q[v] << v / 32 % 4 * 2);
        }
    }
}

}  // namespace quern
