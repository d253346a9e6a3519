// TQ2_0 for CPU kernels.
#pragma once

#include "kernels/quant/ternary/tq2_0.h"
#include "kernels/quant/unpacked.h"

namespace quern {

/// One scale for all 256 values of a block.
template <typename V>
struct SingleScale {
    static constexpr int bias = 1;
    static constexpr int group = 32;
    static constexpr bool has_mins = false;
    float d, dmin = 0.0f;

    QUERN_INLINE explicit SingleScale(float scale) : d(scale) {}

    template <int v>
    QUERN_INLINE typename V::Words scales() const {
        return V::splat_word(1);
    }
    QUERN_INLINE typename V::Words scales_by_16() const { return V::splat_word(1); }
};

template <typename V>
struct Unpacked<V, TQ2_0> : SingleScale<V> {
    const TQ2_0::Block& block;

    QUERN_INLINE explicit Unpacked(const TQ2_0::Block& b) : SingleScale<V>(V::f16(b.d)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        return V::template field<v % 4 * 2>(V::load(block.qs + v / 4 * 32), V::splat_byte(3));
    }
};

}  // namespace quern
