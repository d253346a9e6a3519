// Weights of a row as f32, with the words of a wide vocabulary: what panels are filled with. Up to a rounding of the offset these are the
// values of quant/decode.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.h"
#include "kernels/quant/formats_cpu.h"

namespace quern {

/// 8 weights of a float format as f32.
template <typename V, typename Format>
QUERN_INLINE typename V::Floats load_float_weights(const typename Format::Block* w) {
    if constexpr (Format::dtype == DType::f32)
        return V::load_floats(w);
    else if constexpr (Format::dtype == DType::f16)
        return V::load_f16(w);
    else
        return V::load_bf16(w);
}

template <typename W, typename Format>
class RowDecoder {
    using V = typename W::Narrow;
    using Block = typename Format::Block;

  public:
    /// n values from the block `w` on. REQUIRES: n is a multiple of the format's block.
    QUERN_INLINE static void run(const Block* w, int n, float* out) {
        if constexpr (Format::block_values == 32) {
            for (int i = 0; i < n; i += 32) block_of_32(Unpacked<V, Format>(w[i / 32]), out + i);
        } else if constexpr (Format::block_values == 256) {
            for (int i = 0; i < n; i += 256) block_of_256(w[i / 256], out + i);
        } else {
            int i = 0;
            for (; i + 8 <= n; i += 8) V::store_floats(out + i, load_float_weights<V, Format>(w + i));
            for (; i < n; ++i) Format::decode(w[i], out + i);
        }
    }

  private:
    template <typename Weights>
    QUERN_INLINE static void block_of_32(const Weights& weights, float* out) {
        alignas(64) uint8_t bytes[32];
        V::store(bytes, weights.values());
        for (int i = 0; i < 32; i += W::lanes) {
            if constexpr (Weights::is_signed)
                W::store(out + i, W::times(W::signed_bytes(bytes + i), W::splat(weights.d)));
            else
                W::store(out + i, W::multiply_add(W::bytes(bytes + i), W::splat(weights.d), W::splat(weights.offset)));
        }
    }

    template <typename Weights>
    QUERN_INLINE static void unpacked_256(const Weights& weights, float* out) {
        alignas(64) float factors[16], offsets[16];
        store_scaled(weights.scales_by_16(), weights.d, factors);
        if constexpr (Weights::has_mins)
            store_scaled(weights.mins_by_16(), -weights.dmin, offsets);
        else if constexpr (!SignedValues<Weights>)
            store_scaled(weights.scales_by_16(), -static_cast<float>(Weights::bias) * weights.d, offsets);
        values_of_256<0>(weights, factors, offsets, out);
    }

    /// Not inlined: the compiler would keep this code's constants in registers that the panel's sums need.
    [[gnu::noinline]] static void block_of_256(const Block& w, float* out) noexcept { unpacked_256(Unpacked<V, Format>(w), out); }

    QUERN_INLINE static void store_scaled(typename V::Words words, float scale, float* out) {
        V::store_floats(out, V::times(V::low_words_to_floats(words), V::splat(scale)));
        V::store_floats(out + 8, V::times(V::high_words_to_floats(words), V::splat(scale)));
    }

    template <int v, typename Weights>
    QUERN_INLINE static void values_of_256(const Weights& weights, const float* factors, const float* offsets, float* out) {
        alignas(64) uint8_t bytes[32];
        V::store(bytes, weights.template values<v>());
        for (int i = 0; i < 32; i += W::lanes) {
            const int g = 2 * v + i / 16;
            if constexpr (SignedValues<Weights>)
                W::store(out + 32 * v + i, W::times(W::signed_bytes(bytes + i), W::splat(factors[g])));
            else
                W::store(out + 32 * v + i, W::multiply_add(W::bytes(bytes + i), W::splat(factors[g]), W::splat(offsets[g])));
        }
        if constexpr (v + 1 < 8) values_of_256<v + 1>(weights, factors, offsets, out);
    }
};

}  // namespace quern
