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
    uint16_t d, dmin;
    uint8_t scales[n_groups], mins[n_groups];
    uint8_t q[256];
};

/// Finds all blocks of a tile: one where groups have 16 values, two where they have 32.
template <typename V, int group>
class AffineBlockFit {
    using S = Sixteen<V>;
    using Block = AffineBlock<group>;
    static constexpr int n_groups = Block::n_groups;
    static constexpr int n_blocks = 16 / n_groups;

  public:
    /// @param top_q  the highest level  @param top_code  the highest integer for scales and minimums
    AffineBlockFit(const GroupTile<V, group>& tile, float top_q, float top_code)
        : tile_(tile), search_(tile, top_q, true), top_q_(top_q), top_code_(top_code) {}

    void run(Block* out) {
        const AffineFit<S> fit = search_.run();
        scales_ = fit.scale;
        mins_ = S::splat(0.0f) - fit.offset;
        float scales[16], mins[16], d[n_blocks], dmin[n_blocks];
        scales_.store(scales);
        mins_.store(mins);
        for (int b = 0; b < n_blocks; ++b) {
            float largest_scale = 0.0f, largest_min = 0.0f;
            for (int g = b * n_groups; g < (b + 1) * n_groups; ++g) {
                largest_scale = largest_scale < scales[g] ? scales[g] : largest_scale;
                largest_min = largest_min < mins[g] ? mins[g] : largest_min;
            }
            d[b] = largest_scale / top_code_;
            dmin[b] = largest_min / top_code_;
        }
        Trial best = with_units(d, dmin);
        for (int round = 0; round < 2; ++round) {
            refit(best, d, dmin);
            keep_better(best, with_units(d, dmin));
        }
        write(best, out);
    }

  private:
    struct Trial {
        uint16_t d[n_blocks], dmin[n_blocks];
        float error[n_blocks];
        S unit, min_unit;          ///< d and dmin of each group's block
        S scale, min, code_error;  ///< the groups' integers
    };

    QUERN_LANES_INLINE S codes_of(S values, S unit, float step) const {
        const S limit = S::splat(top_code_), zero = S::splat(0.0f);
        return within(round(within(values * AffineSearch<V, group>::inverse(unit), zero, limit)) + S::splat(step), zero, limit);
    }

    /// The best integers near those of the groups' own scales and minimums.
    Trial with_units(const float* d, const float* dmin) const {
        Trial out;
        float unit[16], min_unit[16];
        for (int b = 0; b < n_blocks; ++b) {
            out.d[b] = nearest_f16(d[b]);
            out.dmin[b] = nearest_f16(dmin[b]);
            fill_lanes(unit + b * n_groups, n_groups, f16_to_f32(out.d[b]));
            fill_lanes(min_unit + b * n_groups, n_groups, f16_to_f32(out.dmin[b]));
        }
        out.unit = S::load(unit);
        out.min_unit = S::load(min_unit);
        out.code_error = S::splat(3e38f);
        out.scale = out.min = S::splat(0.0f);
        for (int s = -1; s <= 1; ++s)
            for (int m = -1; m <= 1; ++m) {
                const S scale = codes_of(scales_, out.unit, static_cast<float>(s)),
                        min = codes_of(mins_, out.min_unit, static_cast<float>(m));
                const S error = search_.error_of(out.unit * scale, S::splat(0.0f) - out.min_unit * min);
                const auto better = less(error, out.code_error);
                out.code_error = choose(better, error, out.code_error);
                out.scale = choose(better, scale, out.scale);
                out.min = choose(better, min, out.min);
            }
        float errors[16];
        out.code_error.store(errors);
        for (int b = 0; b < n_blocks; ++b) {
            out.error[b] = 0.0f;
            for (int g = b * n_groups; g < (b + 1) * n_groups; ++g) out.error[b] += errors[g];
        }
        return out;
    }

    /// d and dmin of the least error for the integers and levels of a trial.
    void refit(const Trial& trial, float* d, float* dmin) const {
        const S offset = S::splat(0.0f) - trial.min_unit * trial.min, min = S::splat(0.0f) - trial.min;
        const AffineSums<S> sums = search_.sums(AffineSearch<V, group>::inverse(trial.unit * trial.scale), offset);
        float aa[16], ab[16], bb[16], xa[16], xb[16];
        (trial.scale * trial.scale * sums.qq).store(aa);
        (trial.scale * min * sums.q).store(ab);
        (min * min * search_.sum_w()).store(bb);
        (trial.scale * sums.xq).store(xa);
        (min * search_.sum_x()).store(xb);
        for (int b = 0; b < n_blocks; ++b) {
            float saa = 0.0f, sab = 0.0f, sbb = 0.0f, sxa = 0.0f, sxb = 0.0f;
            for (int g = b * n_groups; g < (b + 1) * n_groups; ++g) {
                saa += aa[g];
                sab += ab[g];
                sbb += bb[g];
                sxa += xa[g];
                sxb += xb[g];
            }
            const float determinant = saa * sbb - sab * sab;
            const bool solvable = determinant > 1e-6f * saa * sbb && sbb > 0.0f;
            const float scale = solvable ? (sxa * sbb - sxb * sab) / determinant : saa > 0.0f ? sxa / saa : 0.0f;
            const float least = solvable ? (sxb * saa - sxa * sab) / determinant : f16_to_f32(trial.dmin[b]);
            const bool usable = scale > 0.0f && least >= 0.0f;
            d[b] = usable ? scale : f16_to_f32(trial.d[b]);
            dmin[b] = usable ? least : f16_to_f32(trial.dmin[b]);
        }
    }

    void keep_better(Trial& best, const Trial& trial) const {
        float gains[16];
        for (int b = 0; b < n_blocks; ++b) {
            const bool better = trial.error[b] < best.error[b];
            fill_lanes(gains + b * n_groups, n_groups, better ? 1.0f : 0.0f);
            if (!better) continue;
            best.d[b] = trial.d[b];
            best.dmin[b] = trial.dmin[b];
            best.error[b] = trial.error[b];
        }
        const auto better = less(S::splat(0.0f), S::load(gains));
        best.unit = choose(better, trial.unit, best.unit);
        best.min_unit = choose(better, trial.min_unit, best.min_unit);
        best.scale = choose(better, trial.scale, best.scale);
        best.min = choose(better, trial.min, best.min);
    }

    void write(const Trial& trial, Block* out) const {
        uint8_t scales[16], mins[16];
        trial.scale.store_bytes(scales);
        trial.min.store_bytes(mins);
        for (int b = 0; b < n_blocks; ++b) {
            out[b].d = trial.d[b];
            out[b].dmin = trial.dmin[b];
            std::memcpy(out[b].scales, scales + b * n_groups, n_groups);
            std::memcpy(out[b].mins, mins + b * n_groups, n_groups);
            const float d = f16_to_f32(trial.d[b]), dmin = f16_to_f32(trial.dmin[b]);
            for (int g = 0; g < n_groups; ++g)
                affine_levels<V>(tile_.x + b * 256 + g * group, group, d * static_cast<float>(out[b].scales[g]),
                                 -(dmin * static_cast<float>(out[b].mins[g])), top_q_, out[b].q + g * group);
        }
    }

    const GroupTile<V, group>& tile_;
    AffineSearch<V, group> search_;
    float top_q_, top_code_;
    S scales_, mins_;
};

/// As unpack_scales_and_mins() reads them.
QUERN_INLINE void pack_scales_and_mins(const uint8_t* scales, const uint8_t* mins, uint8_t* packed) {
    for (int i = 0; i < 4; ++i) {
        packed[i] = static_cast<uint8_t>(scales[i] | scales[4 + i] >> 4 << 6);
        packed[4 + i] = static_cast<uint8_t>(mins[i] | mins[4 + i] >> 4 << 6);
        packed[8 + i] = static_cast<uint8_t>((scales[4 + i] & 15) | (mins[4 + i] & 15) << 4);
    }
}

QUERN_INLINE void pack_nibbles_k(const uint8_t* q, uint8_t* qs) {
    for (int pair = 0; pair < 4; ++pair)
        for (int i = 0; i < 32; ++i) qs[32 * pair + i] = static_cast<uint8_t>((q[64 * pair + i] & 15) | (q[64 * pair + 32 + i] & 15) << 4);
}

/// q of 256 values below 4, as Q2_K, Q3_K and TQ2_0 have them: value 128 h + 32 j + l is bit pair j of byte 32 h + l.
QUERN_INLINE void pack_bit_pairs(const uint8_t* q, uint8_t* qs) {
    for (int half = 0; half < 2; ++half)
        for (int i = 0; i < 32; ++i) {
            const uint8_t* const from = q + 128 * half + i;
            qs[32 * half + i] = static_cast<uint8_t>((from[0] & 3) | (from[32] & 3) << 2 | (from[64] & 3) << 4 | (from[96] & 3) << 6);
        }
}

QUERN_INLINE void pack(const AffineBlock<32>& fit, Q4_K::Block& out) {
    out.d = fit.d;
    out.dmin = fit.dmin;
    pack_scales_and_mins(fit.scales, fit.mins, out.scales);
    pack_nibbles_k(fit.q, out.qs);
}

QUERN_INLINE void pack(const AffineBlock<32>& fit, Q5_K::Block& out) {
    out.d = fit.d;
    out.dmin = fit.dmin;
    pack_scales_and_mins(fit.scales, fit.mins, out.scales);
    pack_nibbles_k(fit.q, out.qs);
    std::memset(out.qh, 0, sizeof out.qh);
    for (int g = 0; g < 8; ++g)
        for (int i = 0; i < 32; ++i) out.qh[i] = static_cast<uint8_t>(out.qh[i] | (fit.q[32 * g + i] >> 4) << g);
}

QUERN_INLINE void pack(const AffineBlock<16>& fit, Q2_K::Block& out) {
    out.d = fit.d;
    out.dmin = fit.dmin;
    for (int g = 0; g < 16; ++g) out.scales[g] = static_cast<uint8_t>(fit.scales[g] | fit.mins[g] << 4);
    pack_bit_pairs(fit.q, out.qs);
}

template <typename V, typename Format, int group, int top_q, int top_code>
void encode_affine_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* blocks = reinterpret_cast<typename Format::Block*>(out);
    for_tiles<V, group, 256>(x, importance, n, [&](const GroupTile<V, group>& tile, int64_t first, int n_blocks) {
        AffineBlock<group> fitted[group / 16];
        AffineBlockFit<V, group>(tile, static_cast<float>(top_q), static_cast<float>(top_code)).run(fitted);
        for (int b = 0; b < n_blocks; ++b) pack(fitted[b], blocks[first + b]);
    });
}

template <typename V>
inline constexpr auto encode_q2_k = encode_affine_k<V, Q2_K, 16, 3, 15>;
template <typename V>
inline constexpr auto encode_q4_k = encode_affine_k<V, Q4_K, 32, 15, 63>;
template <typename V>
inline constexpr auto encode_q5_k = encode_affine_k<V, Q5_K, 32, 31, 63>;

}  // namespace quern
