// Dot products of sixteen weight rows of 32-value blocks with any number of tokens. Each row has a lane: the blocks are brought into that
// order once for all tokens, and a sum needs no addition across lanes. A lane's sum is made of the same parts in the same order for every
// number of tokens, so that a token's result is the same to the bit, alone or among others.
#pragma once

#include "kernels/matmul/matmul.h"
#include "kernels/quant/formats_cpu.h"

namespace quern {

/// Vocabularies that can turn the bytes of sixteen rows into lanes.
template <typename V>
concept HasRowLanes = requires {
    V::row_lanes;
};

template <typename V, typename Format>
class RowLanes {
    using TwoInts = typename V::TwoInts;
    using TwoFloats = typename V::TwoFloats;
    using Block = typename Format::Block;
    static constexpr int n_rows_at_once = V::row_lanes, most_blocks = 8, most_tokens = 32;

  public:
    static void run(const MatmulTask& task) noexcept {
        for (int64_t row = 0; row < task.n_rows; row += n_rows_at_once) {
            const int64_t left = task.n_rows - row;
            const int n_rows = left < n_rows_at_once ? static_cast<int>(left) : n_rows_at_once;
            for (int64_t token = 0; token < task.n_tokens; token += most_tokens) {
                const int64_t tokens_left = task.n_tokens - token;
                multiply(task, row, n_rows, token, tokens_left < most_tokens ? static_cast<int>(tokens_left) : most_tokens);
            }
        }
    }

  private:
    /// Some blocks of sixteen rows: of each 8 times 4 values of every row, and their factors.
    struct Panel {
        typename V::TwoBytes values[most_blocks][8];
        alignas(64) uint16_t d[most_blocks][n_rows_at_once];  // 16 bits, which become floats when they are used
        alignas(64) uint16_t m[most_blocks][n_rows_at_once];
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
            fill(panel, weights + block * int64_t{sizeof(Block)}, task.weight_row_bytes, n_rows, n);
            const std::byte* const at = x + block * int64_t{sizeof(ActivationBlock32)};
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
        for (int b = 0; b < n_blocks; ++b) fill_block(panel, b, rows);
    }

    QUERN_INLINE static void fill_block(Panel& panel, int b, const std::byte* const (&rows)[n_rows_at_once]) {
        const auto block = [&](int r) -> const Block& { return reinterpret_cast<const Block*>(rows[r])[b]; };
#pragma GCC unroll 16
        for (int r = 0; r < n_rows_at_once; ++r) {
            panel.d[b][r] = block(r).d;
            panel.m[b][r] = block(r).m;
        }
        V::nibble_rows_to_lanes([&](int r) { return block(r).qs; }, panel.values[b]);
    }

    template <int n_tokens>
    QUERN_INLINE static void add(const Panel& panel, int n_blocks, const std::byte* x, int64_t x_stride, TwoFloats* sums) {
        TwoFloats sum[n_tokens];
        for (int t = 0; t < n_tokens; ++t) sum[t] = sums[t];
        for (int b = 0; b < n_blocks; ++b, x += sizeof(ActivationBlock32)) {
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
            const TwoFloats d = V::load_two_floats(panel.d[b]);
            for (int t = 0; t < n_tokens; ++t) {
                const TwoFloats dot = V::to_floats(V::add(V::times_256(high[t]), low[t]));
                sum[t] = V::multiply_add(dot, V::times(d, V::two_splat(at(t).scale)), sum[t]);
                sum[t] = V::multiply_add(V::load_two_floats(panel.m[b]), V::two_splat(at(t).sum), sum[t]);
            }
        }
        for (int t = 0; t < n_tokens; ++t) sums[t] = sum[t];
    }
};

/// Whether RowLanes serves this format here. 16 answers of SmolLM2 in Q4_1 come half again as fast; in Q8_0, which waits for memory, one
/// alone was slower by 12 to 25 % (measured on Zen 5, a shared machine). Units of work must be whole sixteens of rows: a rest of some rows
/// takes as long as sixteen.
template <typename V, typename Format>
constexpr bool has_row_lanes() {
    return HasRowLanes<V> && Format::dtype == DType::q4_1;
}

}  // namespace quern
