// IQ3_S for CPU kernels.
#pragma once

#include "kernels/quant/i/iq3_s.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ3_S> : ScalesOf32<V> {
    static constexpr int bias = 0;
    static constexpr bool is_signed = true;
    const IQ3_S::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ3_S::Block& b)
        : ScalesOf32<V>(V::f16(b.d), odd_bytes(nibbles_to_bytes(read_u32(b.scales)))), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        const auto entries = [&](int i) { return IQ3_S::entries(block, 4 * v + i); };
        return V::negate(V::longs(entries(0), entries(1), entries(2), entries(3)), read_u32(block.signs + 4 * v));
    }
};

}  // namespace quern
