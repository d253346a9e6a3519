// IQ2_XS for CPU kernels.
#pragma once

#include "kernels/quant/i/iq2_xs.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ2_XS> : ScalesOf16<V> {
    static constexpr int bias = 0;
    static constexpr bool is_signed = true;
    const IQ2_XS::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ2_XS::Block& b)
        : ScalesOf16<V>(V::f16(b.d) * 0.125f, odd_bytes(nibbles_to_bytes(read_u32(b.scales))),
                        odd_bytes(nibbles_to_bytes(read_u32(b.scales + 4)))),
          block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        const auto entry = [&](int i) { return IQ2_XS::entry(block, 4 * v + i); };
        return V::negate(V::longs(entry(0), entry(1), entry(2), entry(3)), IQ2_XS::signs(block, v));
    }
};

}  // namespace quern
