// IQ2_XXS for CPU kernels.
#pragma once

#include "kernels/quant/i/iq2_xxs.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ2_XXS> : ScalesOf32<V> {
    static constexpr int bias = 0;
    static constexpr bool is_signed = true;
    const IQ2_XXS::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ2_XXS::Block& b) : ScalesOf32<V>(V::f16(b.d) * 0.125f, scales_of(b)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        const auto entry = [&](int i) { return IQ2_XXS::entry(block, 4 * v + i); };
        return V::negate(V::longs(entry(0), entry(1), entry(2), entry(3)), even_signs(IQ2_XXS::signs_and_scale(block, v)));
    }

  private:
    QUERN_INLINE static uint64_t scales_of(const IQ2_XXS::Block& b) {
        uint64_t out = 0;
        for (int g = 0; g < 8; ++g) out |= static_cast<uint64_t>(b.qs[8 * g + 7] >> 4) << 8 * g;
        return odd_bytes(out);
    }
};

}  // namespace quern
