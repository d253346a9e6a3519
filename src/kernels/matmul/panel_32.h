// Panels of the 32-value formats: x = d * q + offset, with a scale and, but for the symmetric ones, an offset in every block and row.
// Signed quants (Q8_0) enter as q + 128, and d * 128 leaves through the offset.
#pragma once

#include "kernels/matmul/panel.h"

namespace quern {

template <typename W, typename Format>
class Panel32 {
    using V = typename W::Narrow;
    using Ints = typename W::Ints;
    using Floats = typename W::Floats;
    using Weights = Unpacked<V, Format>;
    using Block = typename Format::Block;
    static constexpr int lanes = W::lanes;

  public:
    static constexpr ActivationFormat activations = ActivationFormat::q8_32;
    static constexpr int64_t max_columns = 2048;
    static constexpr int n_rows = W::lanes;
    static constexpr int64_t max_tokens = 16;

    /// Unpacks n_columns values of rows_left rows, the first at `row`; lanes without a row repeat the last one.
    QUERN_INLINE void fill(const std::byte* row, int64_t row_bytes, int rows_left, int64_t n_columns) {
        n_blocks_ = static_cast<int>(n_columns / 32);
        for (int b = 0; b < n_blocks_; b += 2) fill_pair(b, row + b * int64_t{sizeof(Block)}, row_bytes, rows_left);
    }

    template <int n_tokens>
    QUERN_INLINE void multiply(const PanelTokens& tokens, const PanelOutput& output) const {
        Floats sum[n_tokens];
        for (Floats& s : sum) s = W::zero();
        const std::byte* x = tokens.x;
        for (int b = 0; b < n_blocks_; ++b, x += sizeof(ActivationBlock32)) add_block<n_tokens>(blocks_[b], x, tokens.stride, sum);
        for (int t = 0; t < n_tokens; ++t) write_lanes<W>(output, t, 0, sum[t]);
    }

  private:
    struct PanelBlock {
        alignas(64) uint8_t values[8][4 * lanes];
        float scales[lanes], offsets[lanes];
    };

    QUERN_INLINE static const ActivationBlock32& at(const std::byte* x, int64_t stride, int t) {
        return *reinterpret_cast<const ActivationBlock32*>(x + t * stride);
    }

    /// Blocks b and b + 1, the latter only if it exists: two are as wide as a transposition.
    QUERN_INLINE void fill_pair(int b, const std::byte* row, int64_t row_bytes, int rows_left) {
        alignas(64) uint8_t rows[lanes][64] = {};
        const int n = b + 1 < n_blocks_ ? 2 : 1;
        for (int r = 0; r < lanes; ++r) {
            for (int i = 0; i < n; ++i) {
                const Weights weights(reinterpret_cast<const Block*>(row)[i]);
                auto values = weights.values();
                if constexpr (Weights::is_signed) values = V::flip(values, V::splat_byte(0x80));
                V::store(rows[r] + 32 * i, values);
                blocks_[b + i].scales[r] = weights.d;
                blocks_[b + i].offsets[r] = Weights::is_signed ? -128.0f * weights.d : weights.offset;
            }
            if (r + 1 < rows_left) row += row_bytes;
        }
        alignas(64) uint8_t columns[16][4 * lanes];
        W::transpose(rows, 16, columns);
        for (int i = 0; i < n; ++i) std::memcpy(blocks_[b + i].values, columns[8 * i], sizeof blocks_[b + i].values);
    }

    template <int n_tokens>
    QUERN_INLINE static void add_block(const PanelBlock& block, const std::byte* x, int64_t stride, Floats* sum) {
        Ints values[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) values[j] = W::load(block.values[j]);
        const Floats scales = W::load_floats(block.scales), offsets = W::load_floats(block.offsets);
#pragma GCC unroll 4
        for (int t = 0; t < n_tokens; t += 4) {
            Ints dot[4];
#pragma GCC unroll 4
            for (Ints& d : dot) d = W::zero_ints();
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) dot[i] = W::add_dot_bytes(dot[i], values[j], at(x, stride, t + i).q + 4 * j);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const ActivationBlock32& a = at(x, stride, t + i);
                sum[t + i] = W::multiply_add(W::to_floats(dot[i]), W::times(scales, W::splat(a.scale)), sum[t + i]);
                sum[t + i] = W::multiply_add(offsets, W::splat(a.sum), sum[t + i]);
            }
        }
    }

    int n_blocks_ = 0;
    PanelBlock blocks_[max_columns / 32];
};

}  // namespace quern
