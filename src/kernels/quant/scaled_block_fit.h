// Blocks of 256 values as groups with small integer scales of either sign under one f16, x ~ d * scale * level: Q3_K, Q6_K and IQ4_XS. The
// weighted squared error is made small over d, the integers and the levels together. A format gives
//     using Levels         scale_fit.h
//     group, top           values of a group; scales are -top .. top - 1
//     top_scales[]         what the group of the largest scale may get
#pragma once

#include "kernels/quant/scale_fit.h"

namespace quern {

template <typename Format>
struct ScaledBlock {
    static constexpr int n_groups = 256 / Format::group;
    uint16_t d;
    uint8_t scales[n_groups];  ///< from 0: top more
    uint8_t q[256];
};

/// Finds all blocks of a tile: one where groups have 16 values, two where they have 32.
template <typename V, typename Format>
class ScaledBlockFit {
    using S = Sixteen<V>;
    using Levels = typename Format::Levels;
    using Block = ScaledBlock<Format>;
    static constexpr int group = Format::group;
    static constexpr int n_groups = Block::n_groups;
    static constexpr int n_blocks = 16 / n_groups;
    using Search = ScaleSearch<V, Levels, group>;

  public:
    explicit ScaledBlockFit(const GroupTile<V, group>& tile) : tile_(tile), search_(tile) {}

    void run(Block* out) {
        own_ = search_.run();
        float own[16], largest[n_blocks], d[n_blocks];
        own_.store(own);
        for (int b = 0; b < n_blocks; ++b) {
            largest[b] = 0.0f;
            for (int g = b * n_groups; g < (b + 1) * n_groups; ++g)
                if ((own[g] < 0.0f ? -own[g] : own[g]) > (largest[b] < 0.0f ? -largest[b] : largest[b])) largest[b] = own[g];
        }
        Trial best{};
        best.scale = best.xs = best.ss = S::splat(0.0f);
        for (const float top : Format::top_scales) {
            for (int b = 0; b < n_blocks; ++b) d[b] = largest[b] / top;
            keep_better(best, with_units(d, 0));
        }
        for (int round = 0; round < 3; ++round) {
            float xs[16], ss[16];
            best.xs.store(xs);
            best.ss.store(ss);
            for (int b = 0; b < n_blocks; ++b) {
                float x = 0.0f, s = 0.0f;
                for (int g = b * n_groups; g < (b + 1) * n_groups; ++g) {
                    x += xs[g];
                    s += ss[g];
                }
                d[b] = s > 0.0f ? x / s : 0.0f;
            }
            if (!keep_better(best, with_units(d, 1))) break;
        }
        write(best, out);
    }

  private:
    struct Trial {
        uint16_t d[n_blocks];
        float gain[n_blocks];
        S scale;   ///< the groups' integers
        S xs, ss;  ///< sums of w x scale q and w (scale q)^2
    };

    /// Integers up to `reach` from those nearest to the groups' own scales.
    Trial with_units(const float* d, int reach) const {
        Trial out;
        float units[16];
        for (int b = 0; b < n_blocks; ++b) {
            out.d[b] = nearest_f16(d[b]);
            fill_lanes(units + b * n_groups, n_groups, f16_to_f32(out.d[b]));
        }
        const S unit = S::load(units), low = S::splat(-Format::top), high = S::splat(Format::top - 1);
        const S nearest = round(within(own_ * Search::inverse(unit), low, high));
        S best_gain = S::splat(0.0f);
        out.scale = out.xs = out.ss = best_gain;
        for (int step = -reach; step <= reach; ++step) {
            const S scale = within(nearest + S::splat(static_cast<float>(step)), low, high), whole = unit * scale;
            const ScaleSums<S> found = search_.sums(Search::inverse(whole));
            const S gain = found.gain(whole);
            const auto better = less(best_gain, gain);
            best_gain = choose(better, gain, best_gain);
            out.scale = choose(better, scale, out.scale);
            out.xs = choose(better, found.xq * scale, out.xs);
            out.ss = choose(better, found.qq * scale * scale, out.ss);
        }
        float gains[16];
        best_gain.store(gains);
        for (int b = 0; b < n_blocks; ++b) {
            out.gain[b] = 0.0f;
            for (int g = b * n_groups; g < (b + 1) * n_groups; ++g) out.gain[b] += gains[g];
        }
        return out;
    }

    /// Whether any block gained.
    bool keep_better(Trial& best, const Trial& trial) const {
        float flags[16];
        bool any = false;
        for (int b = 0; b < n_blocks; ++b) {
            const bool better = trial.gain[b] > best.gain[b];
            fill_lanes(flags + b * n_groups, n_groups, better ? 1.0f : 0.0f);
            if (!better) continue;
            any = true;
            best.d[b] = trial.d[b];
            best.gain[b] = trial.gain[b];
        }
        const auto better = less(S::splat(0.0f), S::load(flags));
        best.scale = choose(better, trial.scale, best.scale);
        best.xs = choose(better, trial.xs, best.xs);
        best.ss = choose(better, trial.ss, best.ss);
        return any;
    }

    void write(const Trial& trial, Block* out) const {
        uint8_t scales[16];
        (trial.scale + S::splat(Format::top)).store_bytes(scales);
        for (int b = 0; b < n_blocks; ++b) {
            out[b].d = trial.d[b];
            std::memcpy(out[b].scales, scales + b * n_groups, n_groups);
            const float d = f16_to_f32(trial.d[b]);
            for (int g = 0; g < n_groups; ++g)
                store_levels<V, Levels>(tile_.x + b * 256 + g * group, group, d * static_cast<float>(out[b].scales[g] - Format::top),
                                        out[b].q + g * group);
        }
    }

    const GroupTile<V, group>& tile_;
    Search search_;
    S own_;
};

/// A row, with pack(const ScaledBlock<Fit>&, Format::Block&) for its blocks.
template <typename V, typename Fit, typename Format>
void encode_scaled_blocks(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* blocks = reinterpret_cast<typename Format::Block*>(out);
    for_tiles<V, Fit::group, 256>(x, importance, n, [&](const GroupTile<V, Fit::group>& tile, int64_t first, int n_blocks) {
        ScaledBlock<Fit> fitted[Fit::group / 16];
        ScaledBlockFit<V, Fit>(tile).run(fitted);
        for (int b = 0; b < n_blocks; ++b) pack(fitted[b], blocks[first + b]);
    });
}

}  // namespace quern
