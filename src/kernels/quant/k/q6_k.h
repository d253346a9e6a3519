// 256 values in 210 bytes, 16 groups of 16: x = (d * scale) * (q - 32), 0 <= q < 64, 8-bit signed scales.
// Source: the GGUF specification's Q6_K block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct Q6_K {
    static constexpr DType dtype = DType::q6_k;
    static constexpr int block_values = 256;
    struct Block {
        uint8_t ql[128];  ///< low four bits of value 128 h + 64 n + l: half n of byte 64 h + l, for 0 <= l < 64
        uint8_t qh[64];   ///< upper two bits of value 128 h + 32 j + l: bit pair j of byte 32 h + l
        int8_t scales[16];
        uint16_t d;  ///< f16
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 256; ++i) {
            const int low = block.ql[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
            const int high = block.qh[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            out[i] = (d * static_cast<float>(block.scales[i / 16])) * static_cast<float>((low | high << 4) - 32);
        }
    }
};
static_assert(sizeof(Q6_K::Block) == 210);

}  // namespace quern
