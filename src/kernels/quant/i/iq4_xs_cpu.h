// IQ4_XS for CPU kernels.
#pragma once

#include "kernels/quant/i/iq4_xs.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ4_XS> : ScalesOf32<V> {
    static constexpr int bias = 0;
    static constexpr bool is_signed = true;
    const IQ4_XS::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ4_XS::Block& b) : ScalesOf32<V>(V::f16(b.d), IQ4_XS::scales(b)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        return V::look_up(V::load_16(iq4_levels), V::nibbles(block.qs + 16 * v));
    }
};

}  // namespace quern
