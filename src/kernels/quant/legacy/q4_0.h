// 32 values in 18 bytes: x[i] = d * (q[i] - 8), 0 <= q < 16.
// Source: the GGUF specification's Q4_0 block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct Q4_0 {
    static constexpr DType dtype = DType::q4_0;
    static constexpr int block_values = 32;
    struct Block {
        uint16_t d;      ///< f16
        uint8_t qs[16];  ///< value i in the low half of byte i, value 16 + i in the high half
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 16; ++i) {
            out[i] = d * static_cast<float>((block.qs[i] & 15) - 8);
            out[16 + i] = d * static_cast<float>((block.qs[i] >> 4) - 8);
        }
    }
};
static_assert(sizeof(Q4_0::Block) == 18);

}  // namespace quern
