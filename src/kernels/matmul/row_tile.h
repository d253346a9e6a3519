// Dot products of two weight rows of 256-value blocks with many tokens: each block is unpacked once into wide registers and meets all
// tokens there, and a token's values are loaded once for both rows, since they come from the second level of the cache. Sums of integers
// are exact, and the sums of floats are made of the same parts in the same order as RowDot's, so that a token's result is the same to the
// bit, alone or among others.
#pragma once

#include "kernels/matmul/matmul.h"
#include "kernels/quant/formats_cpu.h"

namespace quern {

/// Vocabularies that hold two vectors of weights as one.
template <typename V>
concept HasPairs = requires {
    typename V::TwoBytes;
};

template <typename V, typename Format>
class RowTile {
    using Floats = typename V::Floats;
    using Ints = typename V::Ints;
    using Weights = Unpacked<V, Format>;

  public:
    static constexpr int most_tokens = 16;

    /// Rows [row, row + n_rows) with tokens [token, token + n_tokens).
    template <int n_rows>
    QUERN_INLINE static void run(const MatmulTask& task, int64_t row, int64_t token, int n_tokens) {
        Floats sums[most_tokens][n_rows];
        for (int t = 0; t < n_tokens; ++t)
            for (Floats& sum : sums[t]) sum = V::zero();
        const std::byte* const weights = task.weights + row * task.weight_row_bytes;
        const auto block_at = [&](int r, int64_t b) {
            return reinterpret_cast<const typename Format::Block*>(weights + r * task.weight_row_bytes) + b;
        };
        const std::byte* x = task.activations + token * task.activation_row_bytes;
        for (int64_t b = 0; b < task.n_in / 256; ++b, x += sizeof(ActivationBlock256)) {
            for (int r = 0; r < n_rows; ++r)
                for (size_t at = 0; at < sizeof(typename Format::Block); at += 64)
                    V::prefetch(reinterpret_cast<const char*>(block_at(r, b)) + 2 * task.weight_row_bytes + at);
            if constexpr (n_rows == 2) {
                const Block blocks[2] = {Block(Weights(*block_at(0, b))), Block(Weights(*block_at(1, b)))};
                for (int t = 0; t < n_tokens; ++t) add_to<2>(blocks, sums[t], block_of(x, task, t));
            } else {
                const Block blocks[1] = {Block(Weights(*block_at(0, b)))};
                for (int t = 0; t < n_tokens; ++t) add_to<1>(blocks, sums[t], block_of(x, task, t));
            }
        }
        float* const out = task.out + token * task.out_stride + row;
        for (int t = 0; t < n_tokens; ++t)
            for (int r = 0; r < n_rows; ++r) out[t * task.out_stride + r] = V::total(sums[t][r]);
    }

  private:
    /// A block of weights in registers.
    struct Block {
        typename V::TwoBytes values[4];
        typename V::TwoWords scales[4];
        typename V::Words offsets;  // of the minimums, or -bias times the scales
        float d, dmin;

        QUERN_INLINE explicit Block(const Weights& weights) : d(weights.d), dmin(weights.dmin) {
            take<0>(weights);
            if constexpr (Weights::has_mins)
                offsets = weights.mins_by_16();
            else if constexpr (Weights::bias != 0)
                offsets = V::times(weights.scales_by_16(), V::splat_word(-Weights::bias));
        }

        template <int i>
        QUERN_INLINE void take(const Weights& weights) {
            values[i] = V::two_bytes(weights.template values<2 * i>(), weights.template values<2 * i + 1>());
            scales[i] = V::two_words(weights.template scales<2 * i>(), weights.template scales<2 * i + 1>());
            if constexpr (i < 3) take<i + 1>(weights);
        }

        QUERN_INLINE void finish(Floats& sum, Ints high, Ints low, const ActivationBlock256& a) const {
            if constexpr (!Weights::has_mins && Weights::bias != 0) {
                high = V::add_dot_words(high, offsets, V::load_words(a.high_sums));
                low = V::add_dot_words(low, offsets, V::load_words(a.low_sums));
            }
            const Floats dot = V::multiply_add(V::to_floats(high), V::splat(256.0f), V::to_floats(low));
            sum = V::multiply_add(dot, V::splat(d * a.scale), sum);
            if constexpr (Weights::has_mins) {
                const Ints high_mins = V::add_dot_words(V::zero_ints(), offsets, V::load_words(a.high_sums));
                const Ints mins = V::add_dot_words(V::times_256(high_mins), offsets, V::load_words(a.low_sums));
                sum = V::subtract_product(sum, V::to_floats(mins), V::splat(dmin * a.scale));
            }
        }
    };

    QUERN_INLINE static const ActivationBlock256& block_of(const std::byte* x, const MatmulTask& task, int t) {
        return *reinterpret_cast<const ActivationBlock256*>(x + t * task.activation_row_bytes);
    }

    template <int n_rows>
    QUERN_INLINE static void add_to(const Block (&blocks)[n_rows], Floats (&sums)[n_rows], const ActivationBlock256& a) {
        typename V::TwoInts high[n_rows], low[n_rows];
        for (int r = 0; r < n_rows; ++r) high[r] = low[r] = V::two_zero_ints();
        for (int i = 0; i < 4; ++i) {
            const auto high_bytes = V::load_two(a.high + 64 * i), low_bytes = V::load_two(a.low + 64 * i);
            for (int r = 0; r < n_rows; ++r) {
                high[r] = V::add_two_dots(high[r], blocks[r].values[i], high_bytes, blocks[r].scales[i]);
                low[r] = V::add_two_dots(low[r], blocks[r].values[i], low_bytes, blocks[r].scales[i]);
            }
        }
        for (int r = 0; r < n_rows; ++r) blocks[r].finish(sums[r], V::add_halves(high[r]), V::add_halves(low[r]), a);
    }
};

/// Whether RowTile serves this format here.
template <typename V, typename Format>
constexpr bool has_row_tile() {
    if constexpr (HasPairs<V> && Format::block_values == 256)
        return !SignedValues<Unpacked<V, Format>>;
    else
        return false;
}

}  // namespace quern
