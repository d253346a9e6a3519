// Dot products of one weight row of 256-value blocks with many tokens: each block is unpacked once into wide registers and meets all tokens
// there. Sums of integers are exact, and the sums of floats are made of the same parts in the same order as RowDot's, so that a token's
// result is the same to the bit, alone or among others.
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

    /// @param out  sums of tokens [0, n_tokens), out_stride apart
    QUERN_INLINE static void run(const typename Format::Block* w, const MatmulTask& task, int64_t token, int n_tokens, float* out) {
        Floats sums[most_tokens];
        for (int t = 0; t < n_tokens; ++t) sums[t] = V::zero();
        const std::byte* x = task.activations + token * task.activation_row_bytes;
        for (int64_t b = 0; b < task.n_in / 256; ++b, x += sizeof(ActivationBlock256)) {
            V::prefetch(reinterpret_cast<const char*>(w + b) + 4096);
            V::prefetch(reinterpret_cast<const char*>(w + b) + 4096 + 64);
            const Weights weights(w[b]);
            const Block block(weights);
            for (int t = 0; t < n_tokens; ++t)
                block.add_to(sums[t], *reinterpret_cast<const ActivationBlock256*>(x + t * task.activation_row_bytes));
        }
        for (int t = 0; t < n_tokens; ++t) out[t * task.out_stride] = V::total(sums[t]);
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

        QUERN_INLINE void add_to(Floats& sum, const ActivationBlock256& a) const {
            auto high_pairs = V::two_zero_ints(), low_pairs = V::two_zero_ints();
            for (int i = 0; i < 4; ++i) {
                high_pairs = V::add_two_dots(high_pairs, values[i], a.high + 64 * i, scales[i]);
                low_pairs = V::add_two_dots(low_pairs, values[i], a.low + 64 * i, scales[i]);
            }
            Ints high = V::add_halves(high_pairs), low = V::add_halves(low_pairs);
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
