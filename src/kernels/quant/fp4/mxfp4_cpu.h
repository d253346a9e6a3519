// MXFP4 for CPU kernels.
#pragma once

#include "kernels/quant/fp4/mxfp4.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, MXFP4> {
    static constexpr bool is_signed = true;
    const MXFP4::Block& block;
    float d, offset;

    QUERN_INLINE explicit Unpacked(const MXFP4::Block& b) : block(b), d(half_power(b.e)), offset(0.0f) {}

    QUERN_INLINE typename V::Bytes values() const { return V::look_up(V::load_16(fp4_levels), V::nibbles(block.qs)); }
};

}  // namespace quern
