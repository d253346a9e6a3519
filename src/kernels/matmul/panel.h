// Matmul for many tokens: weights of one row in each lane, decoded once into a panel, and tokens broadcast from memory.
// A panel is two vectors of rows by up to max_panel_columns columns, in units of 4 bytes: one f32 column, or a pair of bf16 columns where
// the processor multiplies pairs. A few panels at a time are filled and stay in the L2 cache while all tokens pass, in tiles that stay in
// L1 while each panel passes, with their sums in registers.
#pragma once

#include <cstring>

#include "kernels/matmul/decode_row.h"
#include "kernels/matmul/matmul.h"

namespace quern {

inline constexpr int64_t max_panel_columns = 256;  // as many as the longest block has

/// A few tokens' values of some columns, side by side. Rows of activations are often a power of two apart, and would then compete for the
/// same few lines of the cache; these are not.
template <typename W, int n_tokens>
struct Tile {
    alignas(64) uint32_t units[n_tokens][max_panel_columns / W::unit_columns + 16];

    /// Token t from x + t * stride; after n_present tokens the last one again.
    QUERN_INLINE void load(const std::byte* x, int64_t stride, int n_present, size_t n_bytes) {
        for (int t = 0; t < n_tokens; ++t) std::memcpy(units[t], x + (t < n_present ? t : n_present - 1) * stride, n_bytes);
    }
};

template <typename W, typename Format>
class Panel {
    using Floats = typename W::Floats;
    using Block = typename Format::Block;
    static constexpr int lanes = W::lanes;

  public:
    static constexpr int n_rows = 2 * lanes;  // two vectors of weights share each broadcast: fewer loads than multiplications

    /// Decodes n_columns values of rows_left rows, the first at `row`; lanes without a row repeat the last one.
    QUERN_INLINE void fill(const std::byte* row, int64_t row_bytes, int64_t rows_left, int64_t n_columns) {
        n_units_ = static_cast<int>((n_columns + W::unit_columns - 1) / W::unit_columns);
        const int64_t bytes = n_columns / Format::block_values * static_cast<int64_t>(sizeof(Block));
        for (int half = 0; half < 2; ++half) {
            alignas(64) uint32_t rows[lanes][max_units + 16];  // not a power of two apart: those compete for few lines of the cache
            for (int r = 0; r < lanes; ++r) {
                const int64_t wanted = half * lanes + r, source = wanted < rows_left ? wanted : rows_left - 1;
                alignas(64) float line[max_panel_columns];
                const std::byte* const from = row + source * row_bytes;
                // The next columns of this row: rows lie too far apart for the processor to see that they follow.
                for (int64_t at = 0; at < bytes; at += 64) W::Narrow::prefetch(from + bytes + at);
                RowDecoder<W, Format>::run(reinterpret_cast<const Block*>(from), static_cast<int>(n_columns), line);
                for (int64_t i = n_columns; i % (W::unit_columns * lanes); ++i) line[i] = 0.0f;
                for (int unit = 0; unit < n_units_; unit += lanes) W::to_units(line + unit * W::unit_columns, rows[r] + unit);
            }
            for (int unit = 0; unit < n_units_; unit += lanes) W::transpose(rows[0] + unit, max_units + 16, values_[half][unit]);
        }
    }

    /// Multiplies with a tile, for the first n_present of its tokens, and writes the first rows_left rows, or adds them to what is there.
    template <int n_tokens>
    QUERN_INLINE void multiply(const Tile<W, n_tokens>& tile, int n_present, float* out, int64_t out_stride, int64_t rows_left,
                               bool adds) const {
        Floats sum[2][n_tokens];
        for (auto& half : sum)
            for (Floats& s : half) s = W::zero();
        for (int unit = 0; unit < n_units_; ++unit) {
            const auto first = W::load_units(values_[0][unit]), second = W::load_units(values_[1][unit]);
#pragma GCC unroll 12
            for (int t = 0; t < n_tokens; ++t) {
                const auto value = W::splat_unit(&tile.units[t][unit]);
                sum[0][t] = W::add_product(sum[0][t], first, value);
                sum[1][t] = W::add_product(sum[1][t], second, value);
            }
        }
        for (int half = 0; half < 2; ++half) {
            const int64_t left = rows_left - half * lanes;
            const int n = left < 0 ? 0 : left < lanes ? static_cast<int>(left) : lanes;
            for (int t = 0; t < n_present; ++t) {
                float* const to = out + t * out_stride + half * lanes;
                W::store_first(to, adds ? W::add(sum[half][t], W::load_first(to, n)) : sum[half][t], n);
            }
        }
    }

  private:
    static constexpr int max_units = max_panel_columns / W::unit_columns;

    int n_units_ = 0;
    alignas(64) uint32_t values_[2][max_units][lanes];
};

/// Some panels side by side: a group of rows by up to max_panel_columns columns of the weights.
template <typename W, typename Format>
class PanelGroup {
    using Panel = quern::Panel<W, Format>;

  public:
    static constexpr int64_t n_rows = 128;

    QUERN_INLINE void fill(const std::byte* weights, int64_t row_bytes, int64_t rows_left, int64_t n_columns) {
        rows_ = rows_left < n_rows ? rows_left : n_rows;
        n_bytes_ = static_cast<size_t>((n_columns + W::unit_columns - 1) / W::unit_columns) * sizeof(uint32_t);
        for (int64_t row = 0; row < rows_; row += Panel::n_rows)
            panels_[row / Panel::n_rows].fill(weights + row * row_bytes, row_bytes, rows_ - row, n_columns);
    }

    /// All tokens of a task, in tiles of tile_tokens; at the end one of that size, two thirds or a third of it.
    QUERN_INLINE void multiply(const MatmulTask& task, const std::byte* x, float* out, bool adds) const {
        constexpr int whole = W::tile_tokens, third = whole / 3;
        int64_t left = task.n_tokens;
        const auto take_tile = [&]<int n_tokens>() {
            const int n_present = left < n_tokens ? static_cast<int>(left) : n_tokens;
            Tile<W, n_tokens> tile;
            tile.load(x, task.activation_row_bytes, n_present, n_bytes_);
            for (int64_t row = 0; row < rows_; row += Panel::n_rows)
                panels_[row / Panel::n_rows].template multiply<n_tokens>(tile, n_present, out + row, task.out_stride, rows_ - row, adds);
            x += n_tokens * task.activation_row_bytes;
            out += n_tokens * task.out_stride;
            left -= n_tokens;
        };
        while (left > 2 * third) take_tile.template operator()<whole>();
        if (left > third) take_tile.template operator()<2 * third>();
        if (left > 0) take_tile.template operator()<third>();
    }

  private:
    int64_t rows_ = 0;
    size_t n_bytes_ = 0;  // of a token
    Panel panels_[n_rows / Panel::n_rows];
};

/// The MatmulKernel with panels. Activations are f32, or bf16 where W multiplies pairs.
template <typename W, typename Format>
void multiply_panels(const MatmulTask& task) noexcept {
    using Group = PanelGroup<W, Format>;
    Group group;
    for (int64_t column = 0; column < task.n_in; column += max_panel_columns) {
        const int64_t n_columns = task.n_in - column < max_panel_columns ? task.n_in - column : max_panel_columns;
        const std::byte* const weights =
            task.weights + column / Format::block_values * static_cast<int64_t>(sizeof(typename Format::Block));
        const std::byte* const x = task.activations + column / W::unit_columns * static_cast<int64_t>(sizeof(uint32_t));
        for (int64_t row = 0; row < task.n_rows; row += Group::n_rows) {
            group.fill(weights + row * task.weight_row_bytes, task.weight_row_bytes, task.n_rows - row, n_columns);
            group.multiply(task, x, task.out + row, column > 0);
        }
    }
}

}  // namespace quern
