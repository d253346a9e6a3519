// Q2_K for CPU kernels.
#pragma once

#include "kernels/quant/k/q2_k.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q2_K> {
    using Bytes = typename V::Bytes;
    using Words = typename V::Words;
    static constexpr int bias = 0;
    static constexpr int group = 16;
    static constexpr bool has_mins = true;
    const Q2_K::Block& block;
    float d, dmin;
    typename V::Sixteen packed_scales;
    Words scale_words;

    QUERN_INLINE explicit Unpacked(const Q2_K::Block& b) : block(b) {
        V::f16_pair(&b.d, d, dmin);
        packed_scales = V::load_16(b.scales);
        scale_words = V::words_by_parity(V::template field_16<0>(packed_scales, 15));
    }

    template <int v>
    QUERN_INLINE Bytes values() const {
        return V::template field<v % 4 * 2>(V::load(block.qs + v / 4 * 32), V::splat_byte(3));
    }
    template <int v>
    QUERN_INLINE Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE Words scales_by_16() const { return V::words(V::template field_16<0>(packed_scales, 15)); }
    QUERN_INLINE Words mins_by_16() const { return V::words(V::template field_16<4>(packed_scales, 15)); }
};

}  // namespace quern
