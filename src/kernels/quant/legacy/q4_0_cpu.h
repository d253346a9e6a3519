// Q4_0 for CPU kernels.
#pragma once

#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q4_0> {
    static constexpr bool is_signed = false;
    const Q4_0::Block& block;
    float d, offset;

    QUERN_INLINE explicit Unpacked(const Q4_0::Block& b) : block(b), d(V::f16(b.d)), offset(-8.0f * d) {}

    QUERN_INLINE typename V::Bytes values() const { return V::nibbles(block.qs); }
};

}  // namespace quern
