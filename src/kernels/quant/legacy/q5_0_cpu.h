// Q5_0 for CPU kernels.
#pragma once

#include "kernels/quant/legacy/q5_0.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q5_0> {
    static constexpr bool is_signed = false;
    const Q5_0::Block& block;
    float d, offset;

    QUERN_INLINE explicit Unpacked(const Q5_0::Block& b) : block(b), d(V::f16(b.d)), offset(-16.0f * d) {}

    QUERN_INLINE typename V::Bytes values() const {
        uint32_t high;
        std::memcpy(&high, block.qh, sizeof high);
        return V::either(V::nibbles(block.qs), V::bits_to_bytes(high, V::splat_byte(16)));
    }
};

}  // namespace quern
