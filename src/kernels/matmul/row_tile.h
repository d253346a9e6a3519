// Dot products of pairs of weight rows of 256-value blocks with many tokens. A block is unpacked once into registers, as words that its
// scales have multiplied already, and meets all tokens there; a few pairs of rows take turns at one block of the tokens, which thus stays
// in the first level of the cache. Sums of integers are exact, and the sums of floats are made of the same parts in the same order as
// RowDot's, so that a token's result is the same to the bit, alone or among others.
#pragma once

#include "kernels/matmul/matmul.h"
#include "kernels/quant/formats_cpu.h"

namespace quern {

/// Vocabularies that hold two vectors of weights as one.
template <typename V>
concept HasPairs = requires {
    typename V::TwoBytes;
};

/// Two rows' blocks in registers.
template <typename V, typename Format>
class BlockPair {
    using Weights = Unpacked<V, Format>;
    using TwoInts = typename V::TwoInts;
    using TwoFloats = typename V::TwoFloats;
    static_assert(Weights::bias == 0);
    static constexpr bool is_signed = SignedValues<Weights>;
    /// A lane's sum of 32 products must be an int: q * scale below 2^31 / (32 * 32512). Else only half of one surely is.
    static constexpr bool sums_are_ints = Format::dtype != DType::iq4_xs;

  public:
    QUERN_INLINE BlockPair(const Weights& a, const Weights& b) : d_(V::two_splat(a.d, b.d)) {
        take<0>(words_[0], a);
        take<0>(words_[1], b);
        if constexpr (Weights::has_mins) {
            dmin_ = V::two_splat(a.dmin, b.dmin);
            mins_ = V::two_words(a.mins_by_16(), b.mins_by_16());
        }
    }

    /// sum, whose halves belong to the two rows, and their products with a token's block
    QUERN_INLINE TwoFloats add_to(TwoFloats sum, const ActivationBlock256& a) const {
        TwoInts first = V::two_zero_ints(), second = V::two_zero_ints();
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const auto x = V::load_two_words(a.words + 32 * i);
            first = V::add_dot_words(first, words_[0][i], x);
            second = V::add_dot_words(second, words_[1][i], x);
        }
        const TwoFloats scale = V::two_splat(a.scale);
        sum = V::multiply_add(total(V::first_halves(first, second), V::second_halves(first, second)), V::times(d_, scale), sum);
        if constexpr (Weights::has_mins) {
            const TwoInts high = V::add_dot_words(V::two_zero_ints(), mins_, V::load_words_twice(a.high_sums));
            const TwoInts mins = V::add_dot_words(V::times_256(high), mins_, V::load_words_twice(a.low_sums));
            sum = V::subtract_product(sum, V::to_floats(mins), V::times(dmin_, scale));
        }
        return sum;
    }

  private:
    template <int i>
    QUERN_INLINE static void take(typename V::TwoWords (&words)[8], const Weights& weights) {
        const auto values = V::two_bytes(weights.template values<2 * i>(), weights.template values<2 * i + 1>());
        const auto scales = V::two_words(weights.template scales<2 * i>(), weights.template scales<2 * i + 1>());
        words[2 * i] = V::times(V::template even_words<is_signed>(values), scales);
        words[2 * i + 1] = V::times(V::template odd_words<is_signed>(values), scales);
        if constexpr (i < 3) take<i + 1>(words, weights);
    }

    /// a + b, rounded once
    QUERN_INLINE static TwoFloats total(TwoInts a, TwoInts b) {
        if constexpr (sums_are_ints) return V::to_floats(V::add(a, b));
        const TwoInts upper = V::add(V::upper_part(a), V::upper_part(b)), lower = V::add(V::lower_part(a), V::lower_part(b));
        return V::multiply_add(V::to_floats(upper), V::two_splat(256.0f), V::to_floats(lower));
    }

    typename V::TwoWords words_[2][8];
    typename V::TwoWords mins_;
    TwoFloats d_, dmin_;
};

template <typename V, typename Format>
class RowTile {
    using TwoFloats = typename V::TwoFloats;
    using Weights = Unpacked<V, Format>;
    using Block = typename Format::Block;

  public:
    static constexpr int most_tokens = 16, most_pairs = 4, most_rows = 2 * most_pairs;

    /// Rows [row, row + n_rows) with tokens [token, token + n_tokens).
    QUERN_INLINE static void run(const MatmulTask& task, int64_t row, int n_rows, int64_t token, int n_tokens) {
        TwoFloats sums[most_pairs][most_tokens];
        const int n_pairs = (n_rows + 1) / 2;
        for (int p = 0; p < n_pairs; ++p)
            for (int t = 0; t < n_tokens; ++t) sums[p][t] = V::two_zeros();
        const std::byte* const weights = task.weights + row * task.weight_row_bytes;
        const std::byte* x = task.activations + token * task.activation_row_bytes;
        for (int64_t b = 0; b < task.n_in / 256; ++b, x += sizeof(ActivationBlock256))
            for (int p = 0; p < n_pairs; ++p) {
                const std::byte* const first = weights + 2 * p * task.weight_row_bytes + b * int64_t{sizeof(Block)};
                const std::byte* const second = 2 * p + 1 < n_rows ? first + task.weight_row_bytes : first;  // the last one stands in
                add_pair(first, second, most_rows * task.weight_row_bytes, x, task.activation_row_bytes, n_tokens, sums[p]);
            }
        float* const out = task.out + token * task.out_stride + row;
        for (int p = 0; p < n_pairs; ++p)
            for (int t = 0; t < n_tokens; ++t) {
                out[t * task.out_stride + 2 * p] = V::total(V::template half_of<0>(sums[p][t]));
                if (2 * p + 1 < n_rows) out[t * task.out_stride + 2 * p + 1] = V::total(V::template half_of<1>(sums[p][t]));
            }
    }

  private:
    /// @param ahead  from a row to the one that will be read in its place
    QUERN_INLINE static void add_pair(const std::byte* first, const std::byte* second, int64_t ahead, const std::byte* x, int64_t x_stride,
                                      int n_tokens, TwoFloats* sums) {
        for (size_t at = 0; at < sizeof(Block); at += 64) {
            V::prefetch(first + ahead + at);
            V::prefetch(second + ahead + at);
        }
        const BlockPair<V, Format> blocks(Weights(*reinterpret_cast<const Block*>(first)),
                                          Weights(*reinterpret_cast<const Block*>(second)));
        for (int t = 0; t < n_tokens; ++t) sums[t] = blocks.add_to(sums[t], *reinterpret_cast<const ActivationBlock256*>(x + t * x_stride));
    }
};

/// Whether RowTile serves this format here. Not where there is a bias, which RowDot sums in other lanes, which rounds otherwise: one token
/// would have to take the tile too, and is slower there by 11 to 45 % (measured on Zen 5).
template <typename V, typename Format>
constexpr bool has_row_tile() {
    if constexpr (HasPairs<V> && Format::block_values == 256)
        return Unpacked<V, Format>::bias == 0;
    else
        return false;
}

}  // namespace quern
