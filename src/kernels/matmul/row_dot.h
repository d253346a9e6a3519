// Dot products of one weight row with a few tokens: the kernel of generation, and of every batch where there are no panels.
// Weights are read once, in their native blocks, and each block is unpacked once for all tokens of the tile.
#pragma once

#include "kernels/matmul/decode_row.h"
#include "kernels/matmul/k_lanes.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/read_ahead.h"
#include "kernels/matmul/row_lanes.h"
#include "kernels/matmul/row_tile.h"

namespace quern {

template <typename V, int bytes>
QUERN_INLINE void prefetch_after(const void* p) {
    for (int at = 0; at < bytes; at += 64) V::prefetch(static_cast<const char*>(p) + bytes_ahead_of_row + at);
}

/// One row times n_tokens tokens. @param x  token t at x + t * x_stride  @param out  n_tokens sums
template <typename V, typename Format>
struct RowDot {
    using Bytes = typename V::Bytes;
    using Ints = typename V::Ints;
    using Floats = typename V::Floats;
    using Block = typename Format::Block;
    using Weights = Unpacked<V, Format>;

    template <int n_tokens>
    QUERN_INLINE static void run(const std::byte* row, const std::byte* x, int64_t x_stride, int64_t n_in, float* out) {
        if constexpr (Format::block_values == 32)
            blocks_of_32<n_tokens>(reinterpret_cast<const Block*>(row), x, x_stride, n_in / 32, out);
        else if constexpr (Format::block_values == 256)
            blocks_of_256<n_tokens>(reinterpret_cast<const Block*>(row), x, x_stride, n_in / 256, out);
        else
            floats<n_tokens>(reinterpret_cast<const Block*>(row), x, x_stride, n_in, out);
    }

  private:
    template <int n_tokens>
    QUERN_INLINE static void blocks_of_32(const Block* w, const std::byte* x, int64_t x_stride, int64_t n_blocks, float* out) {
        // Two sets of sums, for the next block need not wait for this one's additions.
        Floats sum[2][n_tokens];
        float offsets[2][n_tokens] = {};
        for (auto& set : sum)
            for (Floats& s : set) s = V::zero();
        int64_t b = 0;
        for (; b + 2 <= n_blocks; b += 2) {
            prefetch_after<V, 2 * sizeof(Block)>(w + b);
            block_of_32<n_tokens>(w[b], x + b * int64_t{sizeof(ActivationBlock32)}, x_stride, sum[0], offsets[0]);
            block_of_32<n_tokens>(w[b + 1], x + (b + 1) * int64_t{sizeof(ActivationBlock32)}, x_stride, sum[1], offsets[1]);
        }
        if (b < n_blocks) block_of_32<n_tokens>(w[b], x + b * int64_t{sizeof(ActivationBlock32)}, x_stride, sum[0], offsets[0]);
        for (int t = 0; t < n_tokens; ++t) out[t] = V::total(V::add(sum[0][t], sum[1][t])) + (offsets[0][t] + offsets[1][t]);
    }

    template <int n_tokens>
    QUERN_INLINE static void block_of_32(const Block& block, const std::byte* x, int64_t x_stride, Floats* sum, float* offsets) {
        const Weights weights(block);
        const Bytes values = weights.values();
        for (int t = 0; t < n_tokens; ++t) {
            const auto& a = *reinterpret_cast<const ActivationBlock32*>(x + t * x_stride);
            const auto add_plane = [&](const Ints& to, const int8_t* plane) {
                if constexpr (Weights::is_signed)
                    return V::add_dot_signed_bytes(to, values, V::load(plane));
                else
                    return V::add_dot_bytes(to, values, V::load(plane));
            };
            const Ints dot = add_plane(V::times_256(add_plane(V::zero_ints(), a.high)), a.low);
            sum[t] = V::multiply_add(V::to_floats(dot), V::splat(weights.d * a.scale), sum[t]);
            if constexpr (!Weights::is_signed) offsets[t] += weights.offset * a.sum;
        }
    }

    template <int n_tokens>
    QUERN_INLINE static void blocks_of_256(const Block* w, const std::byte* x, int64_t x_stride, int64_t n_blocks, float* out) {
        Floats sum[n_tokens];
        for (Floats& s : sum) s = V::zero();
        for (int64_t b = 0; b < n_blocks; ++b) {
            prefetch_after<V, sizeof(Block)>(w + b);
            block_of_256<n_tokens>(Weights(w[b]), x + b * int64_t{sizeof(ActivationBlock256)}, x_stride, sum);
        }
        for (int t = 0; t < n_tokens; ++t) out[t] = V::total(sum[t]);
    }

    template <int n_tokens>
    QUERN_INLINE static void block_of_256(const Weights& weights, const std::byte* x, int64_t x_stride, Floats* sum) {
        const auto at = [&](int t) -> const ActivationBlock256& { return *reinterpret_cast<const ActivationBlock256*>(x + t * x_stride); };
        Ints high[n_tokens], low[n_tokens];
        for (int t = 0; t < n_tokens; ++t) {
            if constexpr (Weights::bias == 0) {
                high[t] = low[t] = V::zero_ints();
            } else {
                const auto biased = V::times(weights.scales_by_16(), V::splat_word(-Weights::bias));
                high[t] = V::add_dot_words(V::zero_ints(), biased, V::load_words(at(t).high_sums));
                low[t] = V::add_dot_words(V::zero_ints(), biased, V::load_words(at(t).low_sums));
            }
        }
        if constexpr (n_tokens == 1) {  // two chains of sums for each plane: with one token nothing else hides an addition's latency
            Ints odd_high = V::zero_ints(), odd_low = V::zero_ints();
            add_values<1, 0, 2>(weights, x, x_stride, high, low);
            add_values<1, 1, 2>(weights, x, x_stride, &odd_high, &odd_low);
            high[0] = V::add(high[0], odd_high);
            low[0] = V::add(low[0], odd_low);
        } else {
            add_values<n_tokens, 0, 1>(weights, x, x_stride, high, low);
        }
        for (int t = 0; t < n_tokens; ++t) {
            const float scale = at(t).scale;
            // 256 * high may be more than an int holds.
            const Floats dot = V::multiply_add(V::to_floats(high[t]), V::splat(256.0f), V::to_floats(low[t]));
            sum[t] = V::multiply_add(dot, V::splat(weights.d * scale), sum[t]);
            if constexpr (Weights::has_mins) {
                const Ints high_mins = V::add_dot_words(V::zero_ints(), weights.mins_by_16(), V::load_words(at(t).high_sums));
                const Ints mins = V::add_dot_words(V::times_256(high_mins), weights.mins_by_16(), V::load_words(at(t).low_sums));
                sum[t] = V::subtract_product(sum[t], V::to_floats(mins), V::splat(weights.dmin * scale));
            }
        }
    }

    template <int n_tokens, int v, int step>
    QUERN_INLINE static void add_values(const Weights& weights, const std::byte* x, int64_t x_stride, Ints* high, Ints* low) {
        const Bytes values = weights.template values<v>();
        const auto scales = weights.template scales<v>();
        const auto dot = [&](const int8_t* plane) {
            if constexpr (SignedValues<Weights>)
                return V::dot_signed_pairs(values, V::load(plane));
            else
                return V::dot_pairs(values, V::load(plane));
        };
        for (int t = 0; t < n_tokens; ++t) {
            const auto& a = *reinterpret_cast<const ActivationBlock256*>(x + t * x_stride);
            high[t] = V::add_dot_words(high[t], dot(a.high + 32 * v), scales);
            low[t] = V::add_dot_words(low[t], dot(a.low + 32 * v), scales);
        }
        if constexpr (v + step < 8) add_values<n_tokens, v + step, step>(weights, x, x_stride, high, low);
    }

    template <int n_tokens>
    QUERN_INLINE static void floats(const Block* w, const std::byte* x, int64_t x_stride, int64_t n_in, float* out) {
        Floats sum[2][n_tokens];
        for (auto& set : sum)
            for (Floats& s : set) s = V::zero();
        const auto at = [&](int t) { return reinterpret_cast<const float*>(x + t * x_stride); };
        int64_t i = 0;
        for (; i + 16 <= n_in; i += 16) {
            prefetch_after<V, 16 * sizeof(Block)>(w + i);
            for (int half = 0; half < 2; ++half) {
                const Floats values = load_float_weights<V, Format>(w + i + 8 * half);
                for (int t = 0; t < n_tokens; ++t)
                    sum[half][t] = V::multiply_add(values, V::load_floats(at(t) + i + 8 * half), sum[half][t]);
            }
        }
        for (int t = 0; t < n_tokens; ++t) {
            float total = V::total(V::add(sum[0][t], sum[1][t]));
            for (int64_t rest = i; rest < n_in; ++rest) {
                float value;
                Format::decode(w[rest], &value);
                total += value * at(t)[rest];
            }
            out[t] = total;
        }
    }
};

/// Tokens that share one unpacking of a weight block.
inline constexpr int tokens_per_tile = 4;

template <typename V, typename Format, int n_tokens>
void multiply_tile(const MatmulTask& task, int64_t token) noexcept {
    const std::byte* x = task.activations + token * task.activation_row_bytes;
    float* out = task.out + token * task.out_stride;
    for (int64_t r = 0; r < task.n_rows; ++r) {
        float sums[n_tokens];
        RowDot<V, Format>::template run<n_tokens>(task.weights + r * task.weight_row_bytes, x, task.activation_row_bytes, task.n_in, sums);
        for (int t = 0; t < n_tokens; ++t) out[t * task.out_stride + r] = sums[t];
    }
}

template <typename V, typename Format>
void multiply_row_tiles(const MatmulTask& task) noexcept {
    using Tile = RowTile<V, Format>;
    constexpr int64_t most_rows = Tile::most_rows;
    for (int64_t token = 0; token < task.n_tokens; token += Tile::most_tokens) {
        const int64_t tokens_left = task.n_tokens - token;
        const int n_tokens = tokens_left < Tile::most_tokens ? static_cast<int>(tokens_left) : Tile::most_tokens;
        for (int64_t row = 0; row < task.n_rows; row += most_rows) {
            const int64_t rows_left = task.n_rows - row;
            Tile::run(task, row, static_cast<int>(rows_left < most_rows ? rows_left : most_rows), token, n_tokens);
        }
    }
}

template <typename V, typename Format>
void multiply_rows_one_by_one(const MatmulTask& task) noexcept {
    int64_t token = 0;
    for (; token + tokens_per_tile <= task.n_tokens; token += tokens_per_tile) multiply_tile<V, Format, tokens_per_tile>(task, token);
    switch (task.n_tokens - token) {
        case 1:
            multiply_tile<V, Format, 1>(task, token);
            break;
        case 2:
            multiply_tile<V, Format, 2>(task, token);
            break;
        case 3:
            multiply_tile<V, Format, 3>(task, token);
            break;
        default:
            break;
    }
}

/// Rows that the kernel below multiplies at once.
template <typename V, typename Format>
constexpr int64_t rows_at_once() {
    if constexpr (has_row_lanes<V, Format>() || has_k_lanes<V, Format>()) return V::row_lanes;
    return 1;
}

/// The MatmulKernel of one format on one instruction set.
template <typename V, typename Format>
void multiply_rows(const MatmulTask& task) noexcept {
    if constexpr (has_row_lanes<V, Format>()) {
        RowLanes<V, Format>::run(task);
    } else if constexpr (has_k_lanes<V, Format>()) {
        KLanes<V, Format>::run(task);
    } else {
        if constexpr (has_row_tile<V, Format>())
            if (task.n_tokens > 1) return multiply_row_tiles<V, Format>(task);
        multiply_rows_one_by_one<V, Format>(task);
    }
}

}  // namespace quern
