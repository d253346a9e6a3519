// 256 values in 84 bytes, 16 groups of 16: x = (d * scale) * q - (dmin * min), 0 <= q < 4, 4-bit scales and minimums.
// Source: the GGUF specification's Q2_K block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct Q2_K {
    static constexpr DType dtype = DType::q2_k;
    static constexpr int block_values = 256;
    struct Block {
        uint8_t scales[16];  ///< group g: scale in the low half, minimum in the high half
        uint8_t qs[64];      ///< value 128 h + 32 j + l is bit pair j of byte 32 h + l
        uint16_t d, dmin;    ///< f16
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
        for (int i = 0; i < 256; ++i) {
            const uint8_t scale = block.scales[i / 16];
            const int q = block.qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            out[i] = (d * static_cast<float>(scale & 15)) * static_cast<float>(q) - dmin * static_cast<float>(scale >> 4);
        }
    }
};
static_assert(sizeof(Q2_K::Block) == 84);

}  // namespace quern
