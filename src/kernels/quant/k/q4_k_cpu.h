// Q4_K for CPU kernels.
#pragma once

#include "kernels/quant/k/q4_k.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q4_K> {
    using Bytes = typename V::Bytes;
    using Words = typename V::Words;
    static constexpr int bias = 0;
    static constexpr bool has_mins = true;
    const Q4_K::Block& block;
    float d, dmin;
    Words scale_words, min_words;

    QUERN_INLINE explicit Unpacked(const Q4_K::Block& b) : block(b), d(V::f16(b.d)), dmin(V::f16(b.dmin)) {
        uint32_t packed[4];
        unpack_scales_and_mins(b.scales, packed);
        scale_words = V::words_twice_over(packed);
        min_words = V::words_in_pairs(packed + 2);
    }

    template <int v>
    QUERN_INLINE Bytes values() const {
        const Bytes packed = V::load(block.qs + v / 2 * 32);
        return V::template field<v % 2 * 4>(packed, V::splat_byte(15));
    }
    template <int v>
    QUERN_INLINE Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE Words mins_by_16() const { return min_words; }
};

}  // namespace quern
