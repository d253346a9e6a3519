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
    static constexpr bool has_mins = true;
    const Q2_K::Block& block;
    float d, dmin;
    Words scale_words, min_words;

    QUERN_INLINE explicit Unpacked(const Q2_K::Block& b) : block(b), d(V::f16(b.d)), dmin(V::f16(b.dmin)) {
        uint32_t packed[4], scales[4], mins[4];
        std::memcpy(packed, b.scales, sizeof packed);
        for (int i = 0; i < 4; ++i) {
            scales[i] = packed[i] & 0x0f0f0f0fu;
            mins[i] = packed[i] >> 4 & 0x0f0f0f0fu;
        }
        scale_words = V::words_of_signed_by_parity(scales);
        min_words = V::words_of_signed(mins);
    }

    template <int v>
    QUERN_INLINE Bytes values() const {
        return V::template field<v % 4 * 2>(V::load(block.qs + v / 4 * 32), V::splat_byte(3));
    }
    template <int v>
    QUERN_INLINE Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE Words mins_by_16() const { return min_words; }
};

}  // namespace quern
