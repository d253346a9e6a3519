// IQ3_XXS for CPU kernels.
#pragma once

#include "kernels/quant/i/iq3_xxs.h"
#include "kernels/quant/i/scales_cpu.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ3_XXS> : ScalesOf32<V> {
    static constexpr int bias = 0;
    static constexpr bool is_signed = true;
    const IQ3_XXS::Block& block;

    QUERN_INLINE explicit Unpacked(const IQ3_XXS::Block& b) : ScalesOf32<V>(V::f16(b.d) * 0.25f, scales_of(b)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        const auto entries = [&](int i) { return IQ3_XXS::entries(block, 4 * v + i); };
        return V::negate(V::longs(entries(0), entries(1), entries(2), entries(3)), even_signs(IQ3_XXS::signs_and_scale(block, v)));
    }

  private:
    QUERN_INLINE static uint64_t scales_of(const IQ3_XXS::Block& b) {
        uint64_t out = 0;
        for (int g = 0; g < 8; ++g) out |= static_cast<uint64_t>(b.signs_and_scales[4 * g + 3] >> 4) << 8 * g;
        return odd_bytes(out);
    }
};

}  // namespace quern
