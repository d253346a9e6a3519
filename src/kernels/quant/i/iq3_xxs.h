// 256 values in 98 bytes, 8 groups of 32: x = d * (0.5 + scale) / 2 * sign * magnitude, 4-bit scales, magnitudes by 4 from a code book of
// 256. The signs of 8 values have even parity.
// Source: the GGUF specification's IQ3_XXS block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq_bits.h"
#include "kernels/quant/i/iq_grids.h"

namespace quern {

struct IQ3_XXS {
    static constexpr DType dtype = DType::iq3_xxs;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;                    ///< f16
        uint8_t qs[64];                ///< values 4 i .. 4 i + 3: their entry
        uint8_t signs_and_scales[32];  ///< group g, 32 bits: four times 7 bits of signs, the scale on top
    };

    /// Of values 8 i .. 8 i + 7.
    QUERN_INLINE static uint64_t entries(const Block& block, int i) {
        return join(iq3_xxs_grid[block.qs[2 * i]], iq3_xxs_grid[block.qs[2 * i + 1]]);
    }
    QUERN_INLINE static uint32_t signs_and_scale(const Block& block, int g) { return read_u32(block.signs_and_scales + 4 * g); }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int g = 0; g < 8; ++g) {
            const uint32_t packed = signs_and_scale(block, g), signs = even_signs(packed);
            const float scale = d * (0.5f + static_cast<float>(packed >> 28)) * 0.5f;
            for (int i = 0; i < 4; ++i) decode_signed_8(entries(block, 4 * g + i), signs >> 8 * i, scale, out + 32 * g + 8 * i);
        }
    }
};
static_assert(sizeof(IQ3_XXS::Block) == 98);

}  // namespace quern
