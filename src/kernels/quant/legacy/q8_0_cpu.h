// Q8_0 for CPU kernels.
#pragma once

#include "kernels/quant/legacy/q8_0.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q8_0> {
    static constexpr bool is_signed = true;
    const Q8_0::Block& block;
    float d, offset;

    QUERN_INLINE explicit Unpacked(const Q8_0::Block& b) : block(b), d(V::f16(b.d)), offset(0.0f) {}

    QUERN_INLINE typename V::Bytes values() const { return V::load(block.qs); }
};

}  // namespace quern
