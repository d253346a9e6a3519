// Panels of float weights: rows in lanes, as f32 whatever they were, tokens broadcast.
#pragma once

#include "kernels/matmul/panel.h"

namespace quern {

template <typename W, typename Format>
class FloatPanel {
    using V = typename W::Narrow;
    using Floats = typename W::Floats;
    using Block = typename Format::Block;
    static constexpr int lanes = W::lanes;

  public:
    static constexpr ActivationFormat activations = ActivationFormat::f32;
    static constexpr int64_t max_columns = 256;
    static constexpr int n_rows = 2 * lanes;  // two vectors of weights share each broadcast: fewer loads than multiplications
    static constexpr int64_t max_tokens = 12;

    /// Unpacks n_columns values of rows_left rows, the first at `row`; lanes without a row repeat the last one.
    QUERN_INLINE void fill(const std::byte* row, int64_t row_bytes, int rows_left, int64_t n_columns) {
        n_columns_ = static_cast<int>(n_columns);
        for (int column = 0; column < n_columns_; column += 16) {
            const int n = n_columns_ - column < 16 ? n_columns_ - column : 16;
            for (int first = 0; first < n_rows; first += lanes) {
                alignas(64) float rows[lanes][16] = {};
                for (int r = 0; r < lanes; ++r) {
                    const int source = first + r < rows_left ? first + r : rows_left - 1;
                    unpack(reinterpret_cast<const Block*>(row + source * row_bytes) + column, n, rows[r]);
                }
                W::transpose(rows, 16, values_[first / lanes][column]);
            }
        }
    }

    template <int n_tokens>
    QUERN_INLINE void multiply(const PanelTokens& tokens, const PanelOutput& output) const {
        // Rows of activations are often a power of two apart, and would then compete for the same few lines of the cache.
        alignas(64) float x[n_tokens][max_columns + 16];
        for (int t = 0; t < n_tokens; ++t) std::memcpy(x[t], tokens.x + t * tokens.stride, static_cast<size_t>(n_columns_) * sizeof(float));
        Floats sum[2][n_tokens];
        for (auto& half : sum)
            for (Floats& s : half) s = W::zero();
        for (int column = 0; column < n_columns_; ++column) {
            const Floats first = W::load_floats(values_[0][column]), second = W::load_floats(values_[1][column]);
#pragma GCC unroll 12
            for (int t = 0; t < n_tokens; ++t) {
                const Floats value = W::splat(x[t][column]);
                sum[0][t] = W::multiply_add(first, value, sum[0][t]);
                sum[1][t] = W::multiply_add(second, value, sum[1][t]);
            }
        }
        for (int half = 0; half < 2; ++half)
            for (int t = 0; t < n_tokens; ++t) write_lanes<W>(output, t, half * lanes, sum[half][t]);
    }

  private:
    /// n values, at most 16, as f32.
    QUERN_INLINE static void unpack(const Block* w, int n, float* out) {
        if (n < 16) {
            for (int i = 0; i < n; ++i) Format::decode(w[i], out + i);
            return;
        }
        V::store_floats(out, load_float_weights<V, Format>(w));
        V::store_floats(out + 8, load_float_weights<V, Format>(w + 8));
    }

    int n_columns_ = 0;
    alignas(64) float values_[2][max_columns][lanes];
};

}  // namespace quern
