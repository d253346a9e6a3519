// Dot products of sixteen weight rows of 32-value blocks with any number of tokens, a lane for each row. A block's products with one token
// are a whole number, exact whatever computed it; as floats they are added block after block, so that a token's result is the same to the
// bit, alone or among others. The bytes are brought into lanes, once for all tokens, and multiplied there; of the largest format, for one
// token, each row's bytes are multiplied where they lie, as memory likes to be read, and only the whole numbers are brought into lanes.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/matmul/block_32_lanes.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/read_ahead.h"

namespace quern {

/// Vocabularies that can turn the bytes of sixteen rows into lanes.
template <typename V>
concept HasRowLanes = requires {
    V::row_lanes;
};

template <typename V, typename Format>
class RowLanes {
    using Lanes = Block32Lanes<V, Format>;
    using TwoInts = typename V::TwoInts;
    using TwoFloats = typename V::TwoFloats;
    using Block = typename Format::Block;
    static constexpr int n_rows_at_once = V::row_lanes, most_blocks = 8, most_tokens = 32;
    /// Blocks of a row that one token meets before the next row's: their sums wait in the inner cache.
    static constexpr int blocks_in_a_row = 192;
    /// Bytes of Q8_0 take so long to come that nothing may hold them up; smaller ones are in lanes sooner than their sums.
    static constexpr bool one_token_by_rows = Format::dtype == DType::q8_0;
    static constexpr int64_t block_bytes = sizeof(Block), x_bytes = sizeof(ActivationBlock32);

  public:
    static void run(const MatmulTask& task) noexcept {
        for (int64_t row = 0; row < task.n_rows; row += n_rows_at_once) {
            const int64_t left = task.n_rows - row;
            const int n_rows = left < n_rows_at_once ? static_cast<int>(left) : n_rows_at_once;
            if constexpr (one_token_by_rows)
                if (task.n_tokens == 1) {
                    multiply_one(task, row, n_rows);
                    continue;
                }
            for (int64_t token = 0; token < task.n_tokens; token += most_tokens)
                multiply(task, row, n_rows, token, static_cast<int>(std::min<int64_t>(most_tokens, task.n_tokens - token)));
        }
    }

  private:
    /// d and m of some blocks of sixteen rows.
    template <int n_blocks>
    struct Factors {
        alignas(64) typename Lanes::Factor d[n_blocks][n_rows_at_once];
        alignas(64) typename Lanes::Factor m[Lanes::has_mins ? n_blocks : 1][n_rows_at_once];

        /// sum and the products of block b, given the whole number that q times x comes to
        QUERN_INLINE TwoFloats add_to(TwoFloats sum, int b, TwoInts dot, const ActivationBlock32& a) const {
            if constexpr (Lanes::bias != 0) dot = V::add(dot, V::two_splat_int(-Lanes::bias * a.q_sum));
            sum = V::multiply_add(V::to_floats(dot), V::times(V::load_two_floats(d[b]), V::two_splat(a.scale)), sum);
            if constexpr (Lanes::has_mins) sum = V::multiply_add(V::load_two_floats(m[b]), V::two_splat(a.sum), sum);
            return sum;
        }
    };

    /// Whole numbers of sixteen rows and some blocks, as rows_to_columns reads them.
    using Dots = int32_t[blocks_in_a_row / 4][n_rows_at_once][4];

    QUERN_INLINE static void multiply_one(const MatmulTask& task, int64_t row, int n_rows) {
        alignas(64) Dots dots;
        Factors<blocks_in_a_row> factors;
        if (n_rows < n_rows_at_once) {
            std::memset(dots, 0, sizeof dots);
            std::memset(&factors, 0, sizeof factors);
        }
        TwoFloats sum = V::two_zeros();
        const std::byte* const weights = task.weights + row * task.weight_row_bytes;
        const auto* const x = reinterpret_cast<const ActivationBlock32*>(task.activations);
        const int64_t n_blocks = task.n_in / 32;
        for (int64_t block = 0; block < n_blocks; block += blocks_in_a_row) {
            const int n = static_cast<int>(std::min<int64_t>(blocks_in_a_row, n_blocks - block));
            const std::byte* const at = weights + block * block_bytes;
            const RowStretch stretch{block * block_bytes, (block + n) * block_bytes};
            const std::byte* const next =
                bytes_read_soon<n_rows_at_once>(weights, task.weight_row_bytes, stretch, bytes_ahead_of_row_lanes);
            for (int r = 0; r < n_rows; ++r) {
                const auto* const blocks = reinterpret_cast<const Block*>(at + r * task.weight_row_bytes);
                multiply_row(blocks, x + block, n, next + r * task.weight_row_bytes, r, dots, factors);
            }
            for (int b = 0; b < n; b += 4) {
                TwoInts columns[4];
                V::rows_to_columns([&](int r) { return dots[b / 4][r]; }, columns);
                for (int i = 0; i < 4 && b + i < n; ++i) sum = factors.add_to(sum, b + i, columns[i], x[block + b + i]);
            }
        }
        V::store_first(task.out + row, sum, n_rows);
    }

    /// n blocks of row r, eight at a time; after the last one it comes again, to no effect.
    QUERN_INLINE static void multiply_row(const Block* blocks, const ActivationBlock32* x, int n, const std::byte* ahead, int r, Dots& dots,
                                          Factors<blocks_in_a_row>& factors) {
        int b = 0;
        for (; b + 8 <= n; b += 8) {
            for (int64_t line = 0; line < 8 * block_bytes; line += 64) V::prefetch(ahead + b * block_bytes + line);
            multiply_eight([&](int i) { return b + i; }, blocks, x, dots[b / 4][r], dots[b / 4 + 1][r]);
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) factors.d[b + i][r] = Lanes::d_of(blocks[b + i]);
        }
        if (b == n) return;
        multiply_eight([&](int i) { return std::min(b + i, n - 1); }, blocks, x, dots[b / 4][r], dots[b / 4 + 1][r]);
        for (; b < n; ++b) factors.d[b][r] = Lanes::d_of(blocks[b]);
    }

    /// q times x of blocks place(0) to place(7)
    template <typename Place>
    QUERN_INLINE static void multiply_eight(const Place& place, const Block* blocks, const ActivationBlock32* x, int32_t* first,
                                            int32_t* second) {
        TwoInts parts[4];
#pragma GCC unroll 4
        for (int p = 0; p < 4; ++p) {
            const int a = place(p), b = place(4 + p);
            const auto values = Lanes::pair(blocks[a], blocks[b]);
            const TwoInts high = V::add_dot_bytes(V::two_zero_ints(), values, V::two_bytes(V::load(x[a].high), V::load(x[b].high)));
            parts[p] = V::add_dot_bytes(V::times_256(high), values, V::two_bytes(V::load(x[a].low), V::load(x[b].low)));
        }
        V::store_sums_of_halves(first, second, V::quarter_sums(parts));
    }

    /// Some blocks of sixteen rows: of each 8 times 4 values of every row, and their factors.
    struct Panel {
        typename V::TwoBytes values[most_blocks][8];
        Factors<most_blocks> factors;
    };

    QUERN_INLINE static void multiply(const MatmulTask& task, int64_t row, int n_rows, int64_t token, int n_tokens) {
        Panel panel;
        TwoFloats sums[most_tokens];
        for (int t = 0; t < n_tokens; ++t) sums[t] = V::two_zeros();
        const std::byte* const weights = task.weights + row * task.weight_row_bytes;
        const std::byte* const x = task.activations + token * task.activation_row_bytes;
        const int64_t n_blocks = task.n_in / 32;
        for (int64_t block = 0; block < n_blocks; block += most_blocks) {
            const int n = n_blocks - block < most_blocks ? static_cast<int>(n_blocks - block) : most_blocks;
            fill(panel, weights + block * block_bytes, task.weight_row_bytes, n_rows, n);
            const std::byte* const at = x + block * x_bytes;
            int t = 0;
            for (; t + 4 <= n_tokens; t += 4) add<4>(panel, n, at + t * task.activation_row_bytes, task.activation_row_bytes, sums + t);
            for (; t < n_tokens; ++t) add<1>(panel, n, at + t * task.activation_row_bytes, task.activation_row_bytes, sums + t);
        }
        for (int t = 0; t < n_tokens; ++t) V::store_first(task.out + (token + t) * task.out_stride + row, sums[t], n_rows);
    }

    /// Where there are fewer rows, the last one stands in for the others.
    QUERN_INLINE static void fill(Panel& panel, const std::byte* weights, int64_t row_bytes, int n_rows, int n_blocks) {
        const std::byte* rows[n_rows_at_once];
        for (int r = 0; r < n_rows_at_once; ++r) {
            rows[r] = weights + (r < n_rows ? r : n_rows - 1) * row_bytes;
            const std::byte* const next = rows[r] + n_rows_at_once * row_bytes;
            for (int at = 0; at < n_blocks * static_cast<int>(sizeof(Block)); at += 64) V::prefetch(next + at);
        }
        for (int b = 0; b < n_blocks; ++b) {
            const auto block = [&](int r) -> const Block& { return reinterpret_cast<const Block*>(rows[r])[b]; };
            Lanes::columns(block, panel.values[b], panel.factors.d[b], panel.factors.m[Lanes::has_mins ? b : 0]);
        }
    }

    template <int n_tokens>
    QUERN_INLINE static void add(const Panel& panel, int n_blocks, const std::byte* x, int64_t x_stride, TwoFloats* sums) {
        TwoFloats sum[n_tokens];
        for (int t = 0; t < n_tokens; ++t) sum[t] = sums[t];
        for (int b = 0; b < n_blocks; ++b, x += x_bytes) {
            const auto at = [&](int t) -> const ActivationBlock32& {
                return *reinterpret_cast<const ActivationBlock32*>(x + t * x_stride);
            };
            TwoInts high[n_tokens], low[n_tokens];
            for (int t = 0; t < n_tokens; ++t) {
                high[t] = V::two_zero_ints();
                low[t] = V::two_zero_ints();
            }
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
                for (int t = 0; t < n_tokens; ++t) {
                    high[t] = V::add_dot_bytes(high[t], panel.values[b][j], V::four_bytes_everywhere(at(t).high + 4 * j));
                    low[t] = V::add_dot_bytes(low[t], panel.values[b][j], V::four_bytes_everywhere(at(t).low + 4 * j));
                }
            for (int t = 0; t < n_tokens; ++t) sum[t] = panel.factors.add_to(sum[t], b, V::add(V::times_256(high[t]), low[t]), at(t));
        }
        for (int t = 0; t < n_tokens; ++t) sums[t] = sum[t];
    }
};

/// Whether RowLanes serves this format here. Units of work must be whole sixteens of rows: a rest of some rows takes as long as sixteen.
template <typename V, typename Format>
constexpr bool has_row_lanes() {
    return HasRowLanes<V> && Format::block_values == 32;
}

}  // namespace quern
