// IQ1_M for CPU kernels: as 8 (t + delta) with an eighth of the scale.
#pragma once

#include "kernels/quant/i/iq1_m.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ1_M> : ScalesOf16<V> {
    static constexpr int bias = 9;
    const IQ1_M::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ1_M::Block& b)
        : ScalesOf16<V>(V::f16(IQ1_M::scale_bits(b)) * 0.125f, scales_of(b.scales), scales_of(b.scales + 2)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        const auto eight = [&](int i) { return IQ1_M::values(block, 4 * v + i); };
        return V::longs(eight(0), eight(1), eight(2), eight(3));
    }

  private:
    QUERN_INLINE static uint64_t scales_of(const uint16_t* scales) {
        uint64_t out = 0;
        for (int g = 0; g < 8; ++g) out |= static_cast<uint64_t>(scales[g / 4] >> g % 4 * 3 & 7) << 8 * g;
        return odd_bytes(out);
    }
};

}  // namespace quern
