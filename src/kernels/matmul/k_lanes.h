// Dot products of sixteen weight rows of 256-value blocks with any number of tokens, a lane for each row. A block's products with one token
// are whole numbers, summed exactly in some parts; the parts become floats and are added in one order, whatever computes them. So a token's
// result is the same to the bit, alone or among others, though two inner loops serve them:
// for a few tokens bytes are multiplied with each plane of the activations, and the sum of each group with its scale;
// for more of them the scales are multiplied into the weights, once, which makes words of them that meet the activations' words.
#pragma once

#include "kernels/matmul/block_lanes.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/row_lanes.h"

namespace quern {

template <typename V, typename Format>
class KLanes {
    using Lanes = BlockLanes<V, Format>;
    using TwoInts = typename V::TwoInts;
    using TwoWords = typename V::TwoWords;
    using TwoFloats = typename V::TwoFloats;
    using Block = typename Format::Block;
    static constexpr int n_rows_at_once = V::row_lanes, most_tokens = 64, tokens_per_tile = 8;
    /// Up to so many tokens making words of the weights costs more than it saves.
    static constexpr int most_tokens_by_bytes = 2;

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
    struct Tokens {
        const std::byte* x;
        int64_t stride;

        QUERN_INLINE const ActivationBlock256& operator[](int t) const {
            return *reinterpret_cast<const ActivationBlock256*>(x + t * stride);
        }
        QUERN_INLINE Tokens after(int t) const { return {x + t * stride, stride}; }
    };

    /// Sixteen rows from `row` on, of which n_rows are there.
    QUERN_INLINE static void multiply(const MatmulTask& task, int64_t row, int n_rows, int64_t token, int n_tokens) {
        TwoFloats sums[most_tokens];
        for (int t = 0; t < n_tokens; ++t) sums[t] = V::two_zeros();
        const std::byte* const weights = task.weights + row * task.weight_row_bytes;
        Tokens tokens{task.activations + token * task.activation_row_bytes, task.activation_row_bytes};
        for (int64_t b = 0; b < task.n_in / 256; ++b, tokens.x += sizeof(ActivationBlock256)) {
            const std::byte* at = weights + b * int64_t{sizeof(Block)};
            int64_t stride = task.weight_row_bytes;
            prefetch(at, stride);
            Block copies[n_rows_at_once];
            if (n_rows < n_rows_at_once) {  // the last row stands in for the others
                for (int r = 0; r < n_rows_at_once; ++r)
                    copies[r] = *reinterpret_cast<const Block*>(at + (r < n_rows ? r : n_rows - 1) * stride);
                at = reinterpret_cast<const std::byte*>(copies);
                stride = sizeof(Block);
            }
            const std::byte* const fours[4] = {at, at + 4 * stride, at + 8 * stride, at + 12 * stride};
            const Lanes lanes([&](int r) -> const Block& {
                return *reinterpret_cast<const Block*>(fours[r / 4] + r % 4 * stride);
            });
            if (n_tokens <= most_tokens_by_bytes)
                for (int t = 0; t < n_tokens; ++t) sums[t] = finish(lanes, tokens[t], by_bytes(lanes, tokens[t]), sums[t]);
            else
                add_by_words(lanes, tokens, n_tokens, sums);
        }
        for (int t = 0; t < n_tokens; ++t) V::store_first(task.out + (token + t) * task.out_stride + row, sums[t], n_rows);
    }

    /// What the next sixteen rows have here into the outer cache, for they would push others out of the inner one; and what comes soon of
    /// these rows into that.
    QUERN_INLINE static void prefetch(const std::byte* at, int64_t stride) {
        for (int r = 0; r < n_rows_at_once; ++r, at += stride)
            for (size_t line = 0; line < sizeof(Block); line += 64) {
                V::prefetch(at + n_rows_at_once * stride + line);
            }
    }

    /// sum and the products of a block, given the sum of their whole numbers
    QUERN_INLINE static TwoFloats finish(const Lanes& lanes, const ActivationBlock256& a, TwoFloats dot, TwoFloats sum) {
        const TwoFloats scale = V::two_splat(a.scale);
        sum = V::multiply_add(dot, V::times(lanes.d, scale), sum);
        if constexpr (Lanes::has_mins) {
            TwoInts high = V::two_zero_ints(), low = V::two_zero_ints();
            for (int p = 0; p < 4; ++p) {
                high = V::add_dot_words(high, lanes.mins[p], V::two_words_everywhere(a.high_sums_32 + 2 * p));
                low = V::add_dot_words(low, lanes.mins[p], V::two_words_everywhere(a.low_sums_32 + 2 * p));
            }
            const TwoFloats mins = V::to_floats(V::add(V::times_256(high), low));
            sum = V::subtract_product(sum, mins, V::times(lanes.dmin, scale));
        }
        return sum;
    }

    QUERN_INLINE static TwoFloats by_bytes(const Lanes& lanes, const ActivationBlock256& a) {
        TwoFloats dot = V::two_zeros();
        add_groups<0>(lanes, a, V::two_zero_ints(), dot);
        return dot;
    }

    /// Groups of 16 values from g on; part: of the sum of those before it that has not been added to dot
    template <int g>
    QUERN_INLINE static void add_groups(const Lanes& lanes, const ActivationBlock256& a, TwoInts part, TwoFloats& dot) {
        constexpr int n = Lanes::groups_per_int == 1 ? 1 : 2;  // groups that share a scale
        TwoInts high = V::two_zero_ints(), low = V::two_zero_ints();
#pragma GCC unroll 8
        for (int i = 0; i < 4 * n; ++i) {
            const auto values = lanes.values[g / 2][g % 2 * 4 + i];
            high = V::add_dot_bytes(high, values, V::four_bytes_everywhere(a.high + 16 * g + 4 * i));
            low = V::add_dot_bytes(low, values, V::four_bytes_everywhere(a.low + 16 * g + 4 * i));
        }
        TwoInts sum = V::add(V::times_256(high), low);
        if constexpr (Lanes::bias != 0) sum = V::add(sum, V::two_splat_int(-Lanes::bias * (256 * a.high_sums[g] + a.low_sums[g])));
        part = V::add(part, V::times_ints(sum, lanes.template scale<g>()));
        if constexpr ((g + n) % Lanes::groups_per_int == 0) {
            dot = g + n == Lanes::groups_per_int ? V::to_floats(part) : V::add(dot, V::to_floats(part));
            part = V::two_zero_ints();
        }
        if constexpr (g + n < 16) add_groups<g + n>(lanes, a, part, dot);
    }

    /// The weights times their scales: words[g][i] for i < 4 the values at 4 i and 4 i + 2 of group g of 16, then those at 4 i + 1 and 4 i + 3.
    struct ScaledWords {
        TwoWords words[16][8];

        QUERN_INLINE explicit ScaledWords(const Lanes& lanes) { take<0>(lanes); }

      private:
        template <int g>
        QUERN_INLINE void take(const Lanes& lanes) {
            const TwoWords scale = V::words_twice(lanes.template scale<g>());
            for (int i = 0; i < 4; ++i) {
                const auto values = lanes.values[g / 2][g % 2 * 4 + i];
                words[g][i] = times(V::template even_words<false>(values), scale);
                words[g][4 + i] = times(V::template odd_words<false>(values), scale);
            }
            if constexpr (g + 1 < 16) take<g + 1>(lanes);
        }

        QUERN_INLINE static TwoWords times(TwoWords values, TwoWords scale) {
            if constexpr (Lanes::bias != 0) values = V::less_word(values, Lanes::bias);
            return V::times(values, scale);
        }
    };

    QUERN_INLINE static void add_by_words(const Lanes& lanes, Tokens tokens, int n_tokens, TwoFloats* sums) {
        const ScaledWords weights(lanes);
        int t = 0;
        for (; t + tokens_per_tile <= n_tokens; t += tokens_per_tile) add_tile<tokens_per_tile>(lanes, weights, tokens.after(t), sums + t);
        if (t + 4 <= n_tokens) {
            add_tile<4>(lanes, weights, tokens.after(t), sums + t);
            t += 4;
        }
        if (t + 2 <= n_tokens) {
            add_tile<2>(lanes, weights, tokens.after(t), sums + t);
            t += 2;
        }
        if (t < n_tokens) add_tile<1>(lanes, weights, tokens.after(t), sums + t);
    }

    template <int n_tokens>
    QUERN_INLINE static void add_tile(const Lanes& lanes, const ScaledWords& weights, Tokens tokens, TwoFloats* sums) {
        TwoFloats dot[n_tokens];
        for (int group = 0; group < 16; group += Lanes::groups_per_int) {
            TwoInts part[n_tokens];
            for (TwoInts& p : part) p = V::two_zero_ints();
#pragma GCC unroll 4
            for (int g = group; g < group + Lanes::groups_per_int; ++g) {
                const int64_t at = g / 4 * 64 + g % 4 * 8;  // of the first value in ActivationBlock256::words
#pragma GCC unroll 8
                for (int i = 0; i < 8; ++i)
                    for (int t = 0; t < n_tokens; ++t)
                        part[t] = V::add_dot_words(part[t], weights.words[g][i],
                                                   V::two_words_everywhere(tokens[t].words + at + i / 4 * 32 + i % 4 * 2));
            }
            for (int t = 0; t < n_tokens; ++t) {
                const TwoFloats more = V::to_floats(part[t]);
                dot[t] = group == 0 ? more : V::add(dot[t], more);
            }
        }
        for (int t = 0; t < n_tokens; ++t) sums[t] = finish(lanes, tokens[t], dot[t], sums[t]);
    }
};

/// Whether KLanes serves this format here.
template <typename V, typename Format>
constexpr bool has_k_lanes() {
    return HasRowLanes<V> && (Format::dtype == DType::q4_k || Format::dtype == DType::q5_k || Format::dtype == DType::q6_k);
}

}  // namespace quern
