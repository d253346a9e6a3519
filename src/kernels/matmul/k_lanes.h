// Dot products of sixteen weight rows of 256-value blocks with any number of tokens, a lane for each row. A block's products with one token
// are whole numbers, summed exactly in some parts; the parts become floats and are added in one order, whatever computed them. So a token's
// result is the same to the bit, alone or among others, though three inner loops serve them:
// for one token, each row's bytes are multiplied with both planes of the activations where they lie, some blocks in a row: memory is read
// as it likes to be, and only the sums are brought into lanes;
// for a few, the bytes are brought into lanes and multiplied there;
// for more, the scales are multiplied into them, once, which makes words that meet the activations' words.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/matmul/block_lanes.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/read_ahead.h"
#include "kernels/matmul/row_lanes.h"

namespace quern {

template <typename V, typename Format>
class KLanes {
    using Scales = ScaleLanes<V, Format>;
    using Lanes = BlockLanes<V, Format>;
    using TwoInts = typename V::TwoInts;
    using TwoWords = typename V::TwoWords;
    using TwoFloats = typename V::TwoFloats;
    using Block = typename Format::Block;
    static constexpr int n_rows_at_once = V::row_lanes, most_tokens = 64, tokens_per_tile = 8;
    static constexpr int n_groups = 256 / Scales::group;
    /// Up to so many tokens making words of the weights costs more than it saves.
    static constexpr int most_tokens_by_bytes = 2;
    /// Blocks of a row that one token meets before the next row's: their sums wait in the inner cache.
    static constexpr int blocks_in_a_row = 24;

  public:
    static void run(const MatmulTask& task) noexcept {
        for (int64_t row = 0; row < task.n_rows; row += n_rows_at_once) {
            const int64_t left = task.n_rows - row;
            const int n_rows = left < n_rows_at_once ? static_cast<int>(left) : n_rows_at_once;
            if (task.n_tokens == 1)
                multiply_one(task, row, n_rows);
            else
                for (int64_t token = 0; token < task.n_tokens; token += most_tokens)
                    multiply(task, row, n_rows, token, static_cast<int>(std::min<int64_t>(most_tokens, task.n_tokens - token)));
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

    /// One block of sixteen rows. Where there are fewer, the last one stands in for the others.
    class Rows {
      public:
        QUERN_INLINE Rows(const std::byte* first, int64_t stride, int n_rows) : stride_(stride) {
            if (n_rows < n_rows_at_once) {
                for (int r = 0; r < n_rows_at_once; ++r)
                    copies_[r] = *reinterpret_cast<const Block*>(first + std::min(r, n_rows - 1) * stride);
                first = reinterpret_cast<const std::byte*>(copies_);
                stride_ = sizeof(Block);
            }
            for (int i = 0; i < 4; ++i) fours_[i] = first + 4 * i * stride_;
        }
        Rows(const Rows&) = delete;

        QUERN_INLINE const Block& operator()(int r) const { return *reinterpret_cast<const Block*>(fours_[r / 4] + r % 4 * stride_); }

      private:
        const std::byte* fours_[4];
        int64_t stride_;
        Block copies_[n_rows_at_once];
    };

    QUERN_INLINE static void multiply_one(const MatmulTask& task, int64_t row, int n_rows) {
        alignas(64) int32_t group_sums[blocks_in_a_row][n_rows_at_once][n_groups];
        if (n_rows < n_rows_at_once) std::memset(group_sums, 0, sizeof group_sums);
        TwoFloats sum = V::two_zeros();
        const std::byte* const weights = task.weights + row * task.weight_row_bytes;
        const auto* const x = reinterpret_cast<const ActivationBlock256*>(task.activations);
        const int64_t n_blocks = task.n_in / 256;
        for (int64_t block = 0; block < n_blocks; block += blocks_in_a_row) {
            const int n = static_cast<int>(std::min<int64_t>(blocks_in_a_row, n_blocks - block));
            const std::byte* const at = weights + block * int64_t{sizeof(Block)};
            const RowStretch stretch{block * int64_t{sizeof(Block)}, (block + n) * int64_t{sizeof(Block)}};
            const std::byte* const next = bytes_read_soon<n_rows_at_once>(weights, task.weight_row_bytes, stretch, bytes_ahead_of_k_lanes);
            for (int r = 0; r < n_rows; ++r) {
                const auto* const blocks = reinterpret_cast<const Block*>(at + r * task.weight_row_bytes);
                const std::byte* const ahead = next + r * task.weight_row_bytes;
                for (int b = 0; b < n; ++b) {
                    prefetch(ahead + b * int64_t{sizeof(Block)});
                    sum_groups(blocks[b], x[block + b], group_sums[b][r]);
                }
            }
            for (int b = 0; b < n; ++b) {
                const Rows rows(at + b * int64_t{sizeof(Block)}, task.weight_row_bytes, n_rows);
                sum = add_group_sums(Scales(rows), x[block + b], group_sums[b][0], sum);
            }
        }
        V::store_first(task.out + row, sum, n_rows);
    }

    /// q times x, for each group of a row's block; in the order in which they come out of quarter_sums
    QUERN_INLINE static void sum_groups(const Block& block, const ActivationBlock256& a, int32_t* sums) {
        TwoInts parts[4];
        sum_part<0>(block, a, parts);
        if constexpr (n_groups == 16)
            V::store_two_ints(sums, V::quarter_sums(parts));
        else
            V::store_sums_of_halves(sums, sums + 4, V::quarter_sums(parts));
    }
    template <int g>
    static constexpr int place_of_sum = n_groups == 16 ? g % 4 * 4 + g / 4 : g % 2 * 4 + g / 2;

    template <int p>
    QUERN_INLINE static void sum_part(const Block& block, const ActivationBlock256& a, TwoInts (&parts)[4]) {
        const auto values = RowValues<V, Format>::template values<p>(block);
        const TwoInts high = V::add_dot_bytes(V::two_zero_ints(), values, V::load_two_bytes(a.high + 64 * p));
        parts[p] = V::add_dot_bytes(V::times_256(high), values, V::load_two_bytes(a.low + 64 * p));
        if constexpr (p < 3) sum_part<p + 1>(block, a, parts);
    }

    QUERN_INLINE static TwoFloats add_group_sums(const Scales& scales, const ActivationBlock256& a, const int32_t* sums, TwoFloats sum) {
        TwoInts columns[n_groups / 4][4];
#pragma GCC unroll 4
        for (int i = 0; i < n_groups / 4; ++i) V::rows_to_columns([&](int r) { return sums + r * n_groups + 4 * i; }, columns[i]);
        const auto group_sum = [&]<int g>() { return columns[place_of_sum<g> / 4][place_of_sum<g> % 4]; };
        return finish(scales, a, dot_of_groups(scales, a, group_sum), sum);
    }

    QUERN_INLINE static void multiply(const MatmulTask& task, int64_t row, int n_rows, int64_t token, int n_tokens) {
        TwoFloats sums[most_tokens];
        for (int t = 0; t < n_tokens; ++t) sums[t] = V::two_zeros();
        const std::byte* at = task.weights + row * task.weight_row_bytes;
        const std::byte* const next = at + n_rows_at_once * task.weight_row_bytes;
        Tokens tokens{task.activations + token * task.activation_row_bytes, task.activation_row_bytes};
        for (int64_t b = 0; b < task.n_in / 256; ++b, at += sizeof(Block), tokens.x += sizeof(ActivationBlock256)) {
            const std::byte* const ahead = next + b * n_rows_at_once * int64_t{sizeof(Block)};
            const Rows rows(at, task.weight_row_bytes, n_rows);
            const Lanes lanes(rows);
            if (n_tokens <= most_tokens_by_bytes) {
                for (int r = 0; r < n_rows_at_once; ++r) prefetch(ahead + r * int64_t{sizeof(Block)});
                for (int t = 0; t < n_tokens; ++t) sums[t] = add_by_bytes(lanes, tokens[t], sums[t]);
            } else {
                const ScaledWords weights(lanes, ahead);
                add_by_words(lanes, weights, tokens, n_tokens, sums);
            }
        }
        for (int t = 0; t < n_tokens; ++t) V::store_first(task.out + (token + t) * task.out_stride + row, sums[t], n_rows);
    }

    QUERN_INLINE static void prefetch(const std::byte* block) {
        for (size_t line = 0; line < sizeof(Block); line += 64) V::prefetch(block + line);
    }

    /// sum and the products of a block, given the sum of their whole numbers
    QUERN_INLINE static TwoFloats finish(const Scales& scales, const ActivationBlock256& a, TwoFloats dot, TwoFloats sum) {
        const TwoFloats scale = V::two_splat(a.scale);
        sum = V::multiply_add(dot, V::times(scales.d, scale), sum);
        if constexpr (Scales::has_mins) {
            TwoInts high = V::two_zero_ints(), low = V::two_zero_ints();
            for (int p = 0; p < 4; ++p) {
                high = V::add_dot_words(high, scales.mins[p], V::two_words_everywhere(a.high_sums_32 + 2 * p));
                low = V::add_dot_words(low, scales.mins[p], V::two_words_everywhere(a.low_sums_32 + 2 * p));
            }
            const TwoFloats mins = V::to_floats(V::add(V::times_256(high), low));
            sum = V::subtract_product(sum, mins, V::times(scales.dmin, scale));
        }
        return sum;
    }

    /// The scales times group_sum<g>(), which is the sum of q times x in group g.
    template <typename GroupSum>
    QUERN_INLINE static TwoFloats dot_of_groups(const Scales& scales, const ActivationBlock256& a, const GroupSum& group_sum) {
        TwoFloats dot = V::two_zeros();
        add_groups<0>(scales, a, group_sum, V::two_zero_ints(), dot);
        return dot;
    }

    /// Groups from g on; part: of the sum of those before it that has not been added to dot
    template <int g, typename GroupSum>
    QUERN_INLINE static void add_groups(const Scales& scales, const ActivationBlock256& a, const GroupSum& group_sum, TwoInts part,
                                        TwoFloats& dot) {
        constexpr int end = (g + 1) * Scales::group;
        TwoInts sum = group_sum.template operator()<g>();
        if constexpr (Scales::bias != 0) sum = V::add(sum, V::two_splat_int(-Scales::bias * (256 * a.high_sums[g] + a.low_sums[g])));
        part = V::add(part, V::times_ints(sum, scales.template scale<g>()));
        if constexpr (end % Scales::values_per_int == 0) {
            dot = end == Scales::values_per_int ? V::to_floats(part) : V::add(dot, V::to_floats(part));
            part = V::two_zero_ints();
        }
        if constexpr (end < 256) add_groups<g + 1>(scales, a, group_sum, part, dot);
    }

    QUERN_INLINE static TwoFloats add_by_bytes(const Lanes& lanes, const ActivationBlock256& a, TwoFloats sum) {
        const auto group_sum = [&]<int g>() {
            TwoInts high = V::two_zero_ints(), low = V::two_zero_ints();
#pragma GCC unroll 8
            for (int i = g * Scales::group; i < (g + 1) * Scales::group; i += 4) {
                const auto values = lanes.values[i / 32][i % 32 / 4];
                high = V::add_dot_bytes(high, values, V::four_bytes_everywhere(a.high + i));
                low = V::add_dot_bytes(low, values, V::four_bytes_everywhere(a.low + i));
            }
            return V::add(V::times_256(high), low);
        };
        return finish(lanes, a, dot_of_groups(lanes, a, group_sum), sum);
    }

    /// The weights times their scales: words[g][i] for i < 4 the values at 4 i and 4 i + 2 of 16 values, then those at 4 i + 1 and 4 i + 3.
    struct ScaledWords {
        TwoWords words[16][8];

        /// @param ahead  sixteen blocks' bytes to be fetched meanwhile, few at a time: all at once would hold up the loads between
        QUERN_INLINE ScaledWords(const Lanes& lanes, const std::byte* ahead) { take<0>(lanes, ahead); }

      private:
        template <int g>
        QUERN_INLINE void take(const Lanes& lanes, const std::byte* ahead) {
            prefetch(ahead + g * int64_t{sizeof(Block)});
            const TwoWords scale = V::words_twice(lanes.template scale<g * 16 / Scales::group>());
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const auto values = lanes.values[g / 2][g % 2 * 4 + i];
                words[g][i] = times(V::template even_words<false>(values), scale);
                words[g][4 + i] = times(V::template odd_words<false>(values), scale);
            }
            if constexpr (g + 1 < 16) take<g + 1>(lanes, ahead);
        }

        QUERN_INLINE static TwoWords times(TwoWords values, TwoWords scale) {
            if constexpr (Scales::bias != 0) values = V::less_word(values, Scales::bias);
            return V::times(values, scale);
        }
    };

    QUERN_INLINE static void add_by_words(const Scales& scales, const ScaledWords& weights, Tokens tokens, int n_tokens, TwoFloats* sums) {
        int t = 0;
        for (; t + tokens_per_tile <= n_tokens; t += tokens_per_tile) add_tile<tokens_per_tile>(scales, weights, tokens.after(t), sums + t);
        if (t + 4 <= n_tokens) {
            add_tile<4>(scales, weights, tokens.after(t), sums + t);
            t += 4;
        }
        if (t + 2 <= n_tokens) {
            add_tile<2>(scales, weights, tokens.after(t), sums + t);
            t += 2;
        }
        if (t < n_tokens) add_tile<1>(scales, weights, tokens.after(t), sums + t);
    }

    template <int n_tokens>
    QUERN_INLINE static void add_tile(const Scales& scales, const ScaledWords& weights, Tokens tokens, TwoFloats* sums) {
        constexpr int sixteens = Scales::values_per_int / 16;
        TwoFloats dot[n_tokens];
        for (int first = 0; first < 16; first += sixteens) {
            TwoInts part[n_tokens];
            for (TwoInts& p : part) p = V::two_zero_ints();
#pragma GCC unroll 4
            for (int g = first; g < first + sixteens; ++g) {
                const int64_t at = g / 4 * 64 + g % 4 * 8;  // of the first value in ActivationBlock256::words
#pragma GCC unroll 8
                for (int i = 0; i < 8; ++i)
                    for (int t = 0; t < n_tokens; ++t)
                        part[t] = V::add_dot_words(part[t], weights.words[g][i],
                                                   V::two_words_everywhere(tokens[t].words + at + i / 4 * 32 + i % 4 * 2));
            }
            for (int t = 0; t < n_tokens; ++t) {
                const TwoFloats more = V::to_floats(part[t]);
                dot[t] = first == 0 ? more : V::add(dot[t], more);
            }
        }
        for (int t = 0; t < n_tokens; ++t) sums[t] = finish(scales, tokens[t], dot[t], sums[t]);
    }
};

/// Whether KLanes serves this format here.
template <typename V, typename Format>
constexpr bool has_k_lanes() {
    return HasRowLanes<V> && (Format::dtype == DType::q4_k || Format::dtype == DType::q5_k || Format::dtype == DType::q6_k);
}

}  // namespace quern
