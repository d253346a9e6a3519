// Q4_1 for CPU kernels.
#pragma once

#include "kernels/quant/legacy/q4_1.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, Q4_1> {
    static constexpr bool is_signed = false;
    const Q4_1::Block& block;
    float d, offset;

    QUERN_INLINE explicit Unpacked(const Q4_1::Block& b) : block(b), d(V::f16(b.d)), offset(V::f16(b.m)) {}

    QUERN_INLINE typename V::Bytes values() const { return V::nibbles(block.qs); }
};

}  // namespace quern
