// 256 values in 54 bytes: x[i] = d * (q[i] - 1), 0 <= q < 3, five to a byte: a byte holds the fraction 0.q0 q1 q2 q3 q4 to the base 3, of
// 256, rounded up, so that digit j is on top of the low byte of 3^j times it, times 3.
// Source: the GGUF specification's TQ1_0 block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

/// Digit j of a byte.
QUERN_INLINE uint8_t ternary_digit(uint8_t packed, int j) {
    constexpr uint8_t power[5] = {1, 3, 9, 27, 81};
    return static_cast<uint8_t>(static_cast<uint8_t>(packed * power[j]) * 3 >> 8);
}

struct TQ1_0 {
    static constexpr DType dtype = DType::tq1_0;
    static constexpr int block_values = 256;
    struct Block {
        uint8_t qs[48];  ///< value 32 j + l is digit j of byte l < 32; value 160 + 16 j + l is digit j of byte 32 + l
        uint8_t qh[4];   ///< value 240 + 4 j + l is digit j of byte l
        uint16_t d;      ///< f16
    };

    /// Where value i is: its byte and its digit.
    struct Place {
        int byte, digit;
    };
    QUERN_INLINE static Place place(int i) {
        if (i < 160) return {i % 32, i / 32};
        if (i < 240) return {32 + i % 16, (i - 160) / 16};
        return {48 + i % 4, (i - 240) / 4};
    }
    QUERN_INLINE static uint8_t digit(const Block& block, int i) {
        const Place at = place(i);
        return ternary_digit(at.byte < 48 ? block.qs[at.byte] : block.qh[at.byte - 48], at.digit);
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 256; ++i) out[i] = d * static_cast<float>(digit(block, i) - 1);
    }
};
static_assert(sizeof(TQ1_0::Block) == 54);

}  // namespace quern
