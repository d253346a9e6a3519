// IQ1_S for CPU kernels: as 8 (t + delta) with an eighth of the scale.
#pragma once

#include "kernels/quant/i/iq1_s.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ1_S> : ScalesOf32<V> {
    static constexpr int bias = 9;
    const IQ1_S::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ1_S::Block& b) : ScalesOf32<V>(V::f16(b.d) * 0.125f, scales_of(b)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        const auto eight = [&](int i) { return IQ1_S::values(block, 4 * v + i); };
        return V::longs(eight(0), eight(1), eight(2), eight(3));
    }

  private:
    QUERN_INLINE static uint64_t scales_of(const IQ1_S::Block& b) {
        uint64_t out = 0;
        for (int g = 0; g < 8; ++g) out |= static_cast<uint64_t>(b.qh[g] >> 12 & 7) << 8 * g;
        return odd_bytes(out);
    }
};

}  // namespace quern
