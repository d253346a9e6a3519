// Panels of the 256-value formats: x = d * scale * (q - bias) - dmin * min.
// The sum over a block splits in two: sum of scale[g] * (sum of q * a over the group), and, with the activations' own sums over 16 values,
// an offset (minimums, or bias times scale) that costs one word product for two groups. Where scale * (q - bias) fits in a byte (Q2_K,
// Q3_K), the panel holds that product and the whole block is one integer sum.
#pragma once

#include "kernels/matmul/panel.h"

namespace quern {

/// What a panel of a format holds. By default the quants as they are.
template <typename V, typename Format>
struct KPanelValues {
    using Weights = Unpacked<V, Format>;
    static constexpr int n_scales = 256 / Weights::group;

    template <int v>
    QUERN_INLINE static typename V::Bytes values(const Weights& weights) {
        return weights.template values<v>();
    }
    QUERN_INLINE static typename V::Words offsets(const Weights& weights) {
        if constexpr (Weights::has_mins)
            return weights.mins_by_16();
        else
            return V::times(weights.scales_by_16(), V::splat_word(-Weights::bias));
    }
};

/// scale * q <= 45.
template <typename V>
struct KPanelValues<V, Q2_K> {
    using Weights = Unpacked<V, Q2_K>;
    static constexpr int n_scales = 1;

    /// A word times a scale is both of its bytes times the scale, for no product reaches 256.
    template <int v>
    QUERN_INLINE static typename V::Bytes values(const Weights& weights) {
        return V::times(weights.template values<v>(), weights.template scales<v>());
    }
    QUERN_INLINE static typename V::Words offsets(const Weights& weights) { return weights.mins_by_16(); }
};

/// scale * (q - 4) is in [-124, 128]; the panel holds it plus 124.
template <typename V>
struct KPanelValues<V, Q3_K> {
    using Weights = Unpacked<V, Q3_K>;
    static constexpr int n_scales = 1;
    static constexpr int shift = 124;

    /// On both bytes of a word at once: what the lower byte's product borrows from the upper one, the added shift gives back.
    template <int v>
    QUERN_INLINE static typename V::Bytes values(const Weights& weights) {
        constexpr int both = 0x101;
        const auto scales = weights.template scales<v>();
        const auto products = V::times(weights.template values<v>(), scales);
        return V::add_words(V::add_words(products, V::times(scales, V::splat_word(-4 * both))), V::splat_word(shift * both));
    }
    QUERN_INLINE static typename V::Words offsets(const Weights&) { return V::splat_word(-shift); }
};

template <typename W, typename Format>
class KPanel {
    using V = typename W::Narrow;
    using Ints = typename W::Ints;
    using Floats = typename W::Floats;
    using Values = KPanelValues<V, Format>;
    using Weights = Unpacked<V, Format>;
    using Block = typename Format::Block;
    static constexpr int lanes = W::lanes;
    static constexpr int n_scales = Values::n_scales;

  public:
    static constexpr ActivationFormat activations = ActivationFormat::q8_256;
    static constexpr int64_t max_columns = 2048;
    static constexpr int n_rows = W::lanes;
    static constexpr int64_t max_tokens = 16;

    /// Unpacks n_columns values of rows_left rows, the first at `row`; lanes without a row repeat the last one.
    QUERN_INLINE void fill(const std::byte* row, int64_t row_bytes, int rows_left, int64_t n_columns) {
        n_blocks_ = static_cast<int>(n_columns / 256);
        for (int b = 0; b < n_blocks_; ++b) fill_block(blocks_[b], row + b * int64_t{sizeof(Block)}, row_bytes, rows_left);
    }

    template <int n_tokens>
    QUERN_INLINE void multiply(const PanelTokens& tokens, const PanelOutput& output) const {
        Floats total[n_tokens];
        for (Floats& t : total) t = W::zero();
        const std::byte* x = tokens.x;
        for (int b = 0; b < n_blocks_; ++b, x += sizeof(ActivationBlock256)) {
            Floats sum[n_tokens];
            add_offsets<n_tokens>(blocks_[b], x, tokens.stride, sum);
            if constexpr (n_scales == 1)
                add_whole<n_tokens>(blocks_[b], x, tokens.stride, sum);
            else
                add_groups<n_tokens>(blocks_[b], x, tokens.stride, sum);
#pragma GCC unroll 16
            for (int t = 0; t < n_tokens; ++t) total[t] = W::multiply_add(sum[t], W::splat(at(x, tokens.stride, t).scale), total[t]);
        }
        for (int t = 0; t < n_tokens; ++t) write_lanes<W>(output, t, 0, total[t]);
    }

  private:
    struct PanelBlock {
        alignas(64) uint8_t values[64][4 * lanes];
        float scales[n_scales][lanes];
        int16_t offsets[8][2 * lanes];
        float offset_scales[lanes];
    };

    /// One row on its way into the panel.
    struct alignas(64) UnpackedRow {
        uint8_t values[256];
        float scales[16];
        int16_t offsets[16], unused[16];
    };

    QUERN_INLINE static const ActivationBlock256& at(const std::byte* x, int64_t stride, int t) {
        return *reinterpret_cast<const ActivationBlock256*>(x + t * stride);
    }

    QUERN_INLINE static void fill_block(PanelBlock& block, const std::byte* row, int64_t row_bytes, int rows_left) {
        UnpackedRow rows[lanes];
        for (int r = 0; r < lanes; ++r) {
            const Weights weights(*reinterpret_cast<const Block*>(row));
            unpack_values<0>(weights, rows[r].values);
            V::store(rows[r].offsets, Values::offsets(weights));
            block.offset_scales[r] = Weights::has_mins ? -weights.dmin : weights.d;
            if constexpr (n_scales == 1)
                block.scales[0][r] = weights.d;
            else
                unpack_scales(weights, rows[r].scales);
            if (r + 1 < rows_left) row += row_bytes;
        }
        constexpr int row_ints = sizeof(UnpackedRow) / sizeof(int32_t);
        for (int i = 0; i < 4; ++i) W::transpose(rows[0].values + 64 * i, row_ints, block.values[16 * i]);
        alignas(64) int32_t columns[16][lanes];
        W::transpose(rows[0].offsets, row_ints, columns);
        std::memcpy(block.offsets, columns, sizeof block.offsets);
        if constexpr (n_scales > 1) {
            W::transpose(rows[0].scales, row_ints, columns);
            for (int g = 0; g < n_scales; ++g) std::memcpy(block.scales[g], columns[g * 16 / n_scales], sizeof block.scales[g]);
        }
    }

    template <int v>
    QUERN_INLINE static void unpack_values(const Weights& weights, uint8_t* out) {
        V::store(out + 32 * v, Values::template values<v>(weights));
        if constexpr (v + 1 < 8) unpack_values<v + 1>(weights, out);
    }

    QUERN_INLINE static void unpack_scales(const Weights& weights, float* out) {
        const auto words = weights.scales_by_16();
        V::store_floats(out, V::times(V::low_words_to_floats(words), V::splat(weights.d)));
        V::store_floats(out + 8, V::times(V::high_words_to_floats(words), V::splat(weights.d)));
    }

    template <int n_tokens>
    QUERN_INLINE static void add_offsets(const PanelBlock& block, const std::byte* x, int64_t stride, Floats* sum) {
        Ints dot[n_tokens];
        for (Ints& d : dot) d = W::zero_ints();
#pragma GCC unroll 8
        for (int pair = 0; pair < 8; ++pair) {
            const Ints offsets = W::load(block.offsets[pair]);
#pragma GCC unroll 16
            for (int t = 0; t < n_tokens; ++t) dot[t] = W::add_dot_words(dot[t], offsets, at(x, stride, t).sums + 2 * pair);
        }
        const Floats scale = W::load_floats(block.offset_scales);
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; ++t) sum[t] = W::times(W::to_floats(dot[t]), scale);
    }

    template <int n_tokens>
    QUERN_INLINE static void add_whole(const PanelBlock& block, const std::byte* x, int64_t stride, Floats* sum) {
        Ints dot[n_tokens];
        for (Ints& d : dot) d = W::zero_ints();
        for (int j = 0; j < 64; j += 2) {
            const Ints first = W::load(block.values[j]), second = W::load(block.values[j + 1]);
#pragma GCC unroll 16
            for (int t = 0; t < n_tokens; ++t) dot[t] = W::add_dot_bytes(dot[t], first, at(x, stride, t).q + 4 * j);
#pragma GCC unroll 16
            for (int t = 0; t < n_tokens; ++t) dot[t] = W::add_dot_bytes(dot[t], second, at(x, stride, t).q + 4 * j + 4);
        }
        const Floats scale = W::load_floats(block.scales[0]);
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; ++t) sum[t] = W::multiply_add(W::to_floats(dot[t]), scale, sum[t]);
    }

    /// Group by group: its panel vectors stay in registers while all tokens pass, four side by side to hide the latency.
    template <int n_tokens>
    QUERN_INLINE static void add_groups(const PanelBlock& block, const std::byte* x, int64_t stride, Floats* sum) {
        constexpr int n_vectors = 64 / n_scales;
        for (int g = 0; g < n_scales; ++g) {
            Ints values[n_vectors];
#pragma GCC unroll 8
            for (int j = 0; j < n_vectors; ++j) values[j] = W::load(block.values[g * n_vectors + j]);
            const Floats scale = W::load_floats(block.scales[g]);
            const std::byte* q = x + offsetof(ActivationBlock256, q) + 4 * g * n_vectors;
#pragma GCC unroll 4
            for (int t = 0; t < n_tokens; t += 4) {
                Ints dot[4];
#pragma GCC unroll 4
                for (Ints& d : dot) d = W::zero_ints();
#pragma GCC unroll 8
                for (int j = 0; j < n_vectors; ++j)
#pragma GCC unroll 4
                    for (int i = 0; i < 4; ++i) dot[i] = W::add_dot_bytes(dot[i], values[j], q + (t + i) * stride + 4 * j);
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) sum[t + i] = W::multiply_add(W::to_floats(dot[i]), scale, sum[t + i]);
            }
        }
    }

    int n_blocks_ = 0;
    PanelBlock blocks_[max_columns / 256];
};

}  // namespace quern
