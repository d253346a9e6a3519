// 256 values in 144 bytes, 8 groups of 32: x = (d * scale) * q - (dmin * min), 0 <= q < 16, 6-bit scales and minimums.
// Source: the GGUF specification's Q4_K block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/k/k_scales.h"

namespace quern {

struct Q4_K {
    static constexpr DType dtype = DType::q4_k;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d, dmin;    ///< f16
        uint8_t scales[12];  ///< see unpack_scales_and_mins
        uint8_t qs[128];     ///< value 64 p + l in the low half of byte 32 p + l, value 64 p + 32 + l in the high half
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
        uint32_t packed[4];
        unpack_scales_and_mins(block.scales, packed);
        uint8_t scales[16];
        std::memcpy(scales, packed, sizeof scales);
        for (int i = 0; i < 256; ++i) {
            const int q = block.qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
            const float scale = d * static_cast<float>(scales[i / 32]), min = dmin * static_cast<float>(scales[8 + i / 32]);
            out[i] = scale * static_cast<float>(q) - min;
        }
    }
};
static_assert(sizeof(Q4_K::Block) == 144);

}  // namespace quern
