// Q5_K for CPU kernels.
#pragma once

#include "kernels/quant/k/q5_k.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q5_K> {
    using Bytes = typename V::Bytes;
    using Words = typename V::Words;
    static constexpr int bias = 0;
    static constexpr int group = 32;
    static constexpr bool has_mins = true;
    const Q5_K::Block& block;
    float d, dmin;
    typename V::Sixteen scales_and_mins;
    Words scale_words;
    Bytes high;  // bit v belongs to values<v>

    QUERN_INLINE explicit Unpacked(const Q5_K::Block& b) : block(b) {
        V::f16_pair(&b.d, d, dmin);
        scales_and_mins = unpack_scales_and_mins<V>(b.scales);
        scale_words = V::low_words_twice(scales_and_mins);
        high = V::load(b.qh);
    }

    template <int v>
    QUERN_INLINE Bytes values() const {
        const Bytes packed = V::load(block.qs + v / 2 * 32);
        const Bytes low = V::template field<v % 2 * 4>(packed, V::splat_byte(15));
        return V::either(low, fifth_bit<v>());
    }
    template <int v>
    QUERN_INLINE Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE Words scales_by_16() const { return V::low_words_in_pairs(scales_and_mins); }
    QUERN_INLINE Words mins_by_16() const { return V::high_words_in_pairs(scales_and_mins); }

  private:
    template <int v>
    QUERN_INLINE Bytes fifth_bit() const {
        if constexpr (v >= 4)
            return V::template field<v - 4>(high, V::splat_byte(16));
        else
            return V::template raise<4 - v>(V::both(high, V::splat_byte(1 << v)));
    }
};

}  // namespace quern
