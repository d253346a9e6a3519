// 32 values in 24 bytes: x[i] = d * q[i] + m, 0 <= q < 32.
// Source: the GGUF specification's Q5_1 block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct Q5_1 {
    static constexpr DType dtype = DType::q5_1;
    static constexpr int block_values = 32;
    struct Block {
        uint16_t d;      ///< f16
        uint16_t m;      ///< f16
        uint8_t qh[4];   ///< bit 4 of value i is bit i, little endian
        uint8_t qs[16];  ///< value i in the low half of byte i, value 16 + i in the high half
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
        uint32_t high;
        std::memcpy(&high, block.qh, sizeof high);
        for (int i = 0; i < 16; ++i) {
            const int low = (block.qs[i] & 15) | static_cast<int>(high >> i & 1) << 4;
            const int upper = block.qs[i] >> 4 | static_cast<int>(high >> (16 + i) & 1) << 4;
            out[i] = d * static_cast<float>(low) + m;
            out[16 + i] = d * static_cast<float>(upper) + m;
        }
    }
};
static_assert(sizeof(Q5_1::Block) == 24);

}  // namespace quern
