// 32 values in 20 bytes: x[i] = d * q[i] + m, 0 <= q < 16.
// Source: the GGUF specification's Q4_1 block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct Q4_1 {
    static constexpr DType dtype = DType::q4_1;
    static constexpr int block_values = 32;
    struct Block {
        uint16_t d;      ///< f16
        uint16_t m;      ///< f16
        uint8_t qs[16];  ///< value i in the low half of byte i, value 16 + i in the high half
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
        for (int i = 0; i < 16; ++i) {
            out[i] = d * static_cast<float>(block.qs[i] & 15) + m;
            out[16 + i] = d * static_cast<float>(block.qs[i] >> 4) + m;
        }
    }
};
static_assert(sizeof(Q4_1::Block) == 20);

}  // namespace quern
