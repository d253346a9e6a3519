// TQ1_0 for CPU kernels.
#pragma once

#include "kernels/quant/ternary/tq1_0.h"
#include "kernels/quant/ternary/tq2_0_cpu.h"

namespace quern {

template <typename V>
struct Unpacked<V, TQ1_0> : SingleScale<V> {
    const TQ1_0::Block& block;

    QUERN_INLINE explicit Unpacked(const TQ1_0::Block& b) : SingleScale<V>(V::f16(b.d)), block(b) {}

    template <int v>
    QUERN_INLINE typename V::Bytes values() const {
        alignas(32) uint8_t digits[32];
        if constexpr (v < 5) {
            for (int l = 0; l < 32; ++l) digits[l] = ternary_digit(block.qs[l], v);
        } else if constexpr (v < 7) {
            for (int l = 0; l < 16; ++l) digits[l] = ternary_digit(block.qs[32 + l], 2 * v - 10);
            for (int l = 0; l < 16; ++l) digits[16 + l] = ternary_digit(block.qs[32 + l], 2 * v - 9);
        } else {
            for (int l = 0; l < 16; ++l) digits[l] = ternary_digit(block.qs[32 + l], 4);
            for (int l = 0; l < 16; ++l) digits[16 + l] = ternary_digit(block.qh[l % 4], l / 4);
        }
        return V::load(digits);
    }
};

}  // namespace quern
