// 256 values in 66 bytes, 8 groups of 32: x = d * (0.5 + scale) / 4 * sign * magnitude, 4-bit scales, magnitudes by 8 from a code book of
// 256. The signs of 8 values have even parity.
// Source: the GGUF specification's IQ2_XXS block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq_bits.h"
#include "kernels/quant/i/iq_grids.h"

namespace quern {

struct IQ2_XXS {
    static constexpr DType dtype = DType::iq2_xxs;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;      ///< f16
        uint8_t qs[64];  ///< group g, 8 bytes: four entries, then 32 bits: four times 7 bits of signs, the scale on top
    };

    QUERN_INLINE static uint64_t entry(const Block& block, int i) { return iq2_xxs_grid[block.qs[i / 4 * 8 + i % 4]]; }
    QUERN_INLINE static uint32_t signs_and_scale(const Block& block, int g) { return read_u32(block.qs + 8 * g + 4); }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int g = 0; g < 8; ++g) {
            const uint32_t packed = signs_and_scale(block, g), signs = even_signs(packed);
            const float scale = d * (0.5f + static_cast<float>(packed >> 28)) * 0.25f;
            for (int i = 0; i < 4; ++i) decode_signed_8(entry(block, 4 * g + i), signs >> 8 * i, scale, out + 32 * g + 8 * i);
        }
    }
};
static_assert(sizeof(IQ2_XXS::Block) == 66);

}  // namespace quern
