// 256 values in 110 bytes, 16 groups of 16: x = (d * (scale - 32)) * (q - 4), 0 <= q < 8, 6-bit scales.
// Source: the GGUF specification's Q3_K block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/k/k_scales.h"

namespace quern {

struct Q3_K {
    static constexpr DType dtype = DType::q3_k;
    static constexpr int block_values = 256;
    struct Block {
        uint8_t hmask[32];   ///< bit 2 of value 32 j + l is bit j of byte l
        uint8_t qs[64];      ///< bits 0 and 1 of value 128 h + 32 j + l are bit pair j of byte 32 h + l
        uint8_t scales[12];  ///< see unpack_scales_16
        uint16_t d;          ///< f16
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        uint32_t packed[4];
        unpack_scales_16(block.scales, packed);
        uint8_t scales[16];
        std::memcpy(scales, packed, sizeof scales);
        for (int i = 0; i < 256; ++i) {
            const int low = block.qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            const int high = block.hmask[i % 32] >> (i / 32) & 1;
            out[i] = (d * static_cast<float>(scales[i / 16] - 32)) * static_cast<float>((low | high << 2) - 4);
        }
    }
};
static_assert(sizeof(Q3_K::Block) == 110);

}  // namespace quern
