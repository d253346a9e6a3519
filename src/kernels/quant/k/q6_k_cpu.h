// Q6_K for CPU kernels.
#pragma once

#include "kernels/quant/k/q6_k.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q6_K> {
    using Bytes = typename V::Bytes;
    using Words = typename V::Words;
    static constexpr int bias = 32;
    static constexpr int group = 16;
    static constexpr bool has_mins = false;
    const Q6_K::Block& block;
    float d, dmin;
    Words scale_words;

    QUERN_INLINE explicit Unpacked(const Q6_K::Block& b) : block(b), d(V::f16(b.d)), dmin(0.0f) {
        scale_words = V::words_by_parity(V::load_16(b.scales));
    }

    template <int v>
    QUERN_INLINE Bytes values() const {
        const Bytes low = V::template field<v % 4 / 2 * 4>(V::load(block.ql + v / 4 * 64 + v % 2 * 32), V::splat_byte(15));
        const Bytes high = V::load(block.qh + v / 4 * 32);
        constexpr int pair = v % 4;
        if constexpr (pair < 2)
            return V::either(low, V::template raise<4 - 2 * pair>(V::both(high, V::splat_byte(3 << 2 * pair))));
        else
            return V::either(low, V::template field<2 * pair - 4>(high, V::splat_byte(0x30)));
    }
    template <int v>
    QUERN_INLINE Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE Words scales_by_16() const { return V::words(V::load_16(block.scales)); }
};

}  // namespace quern
