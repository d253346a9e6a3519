// Q3_K for CPU kernels.
#pragma once

#include "kernels/quant/k/q3_k.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q3_K> {
    using Bytes = typename V::Bytes;
    using Words = typename V::Words;
    static constexpr int bias = 4;
    static constexpr int group = 16;
    static constexpr bool has_mins = false;
    const Q3_K::Block& block;
    float d, dmin;
    Words scale_words;
    typename V::Sixteen scale_bytes;
    Bytes high;  // bit v belongs to values<v>

    QUERN_INLINE explicit Unpacked(const Q3_K::Block& b) : block(b), d(V::f16(b.d)), dmin(0.0f) {
        uint32_t packed[4];
        unpack_scales_16(b.scales, packed);
        for (uint32_t& word : packed) word = ((word | 0x80808080u) - 0x20202020u) ^ 0x80808080u;  // 32 less in each byte
        scale_bytes = V::make_16(packed);
        scale_words = V::words_by_parity(scale_bytes);
        high = V::load(b.hmask);
    }

    template <int v>
    QUERN_INLINE Bytes values() const {
        const Bytes low = V::template field<v % 4 * 2>(V::load(block.qs + v / 4 * 32), V::splat_byte(3));
        return V::either(low, third_bit<v>());
    }
    template <int v>
    QUERN_INLINE Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE Words scales_by_16() const { return V::words(scale_bytes); }

  private:
    template <int v>
    QUERN_INLINE Bytes third_bit() const {
        if constexpr (v >= 2)
            return V::template field<v - 2>(high, V::splat_byte(4));
        else
            return V::template raise<2 - v>(V::both(high, V::splat_byte(1 << v)));
    }
};

}  // namespace quern
