// IQ4_NL for CPU kernels.
#pragma once

#include "kernels/quant/i/iq4_nl.h"
#include "kernels/quant/unpacked.h"

namespace quern {

template <typename V>
struct Unpacked<V, IQ4_NL> {
    static constexpr bool is_signed = true;
    const IQ4_NL::Block& block;
    float d, offset;

    QUERN_INLINE explicit Unpacked(const IQ4_NL::Block& b) : block(b), d(V::f16(b.d)), offset(0.0f) {}

    QUERN_INLINE typename V::Bytes values() const { return V::look_up(V::load_16(iq4_levels), V::nibbles(block.qs)); }
};

}  // namespace quern
