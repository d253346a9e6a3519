// 256 values in 82 bytes, 16 groups of 16: x = d * (0.5 + scale) / 4 * sign * magnitude, 4-bit scales, magnitudes by 8 from a code book
// of 1024, free signs.
// Source: the GGUF specification's IQ2_S block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq_bits.h"
#include "kernels/quant/i/iq_grids.h"

namespace quern {

struct IQ2_S {
    static constexpr DType dtype = DType::iq2_s;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;         ///< f16
        uint8_t qs[32];     ///< values 8 i .. 8 i + 7: lower 8 bits of their entry
        uint8_t signs[32];  ///< of those values
        uint8_t qh[8];      ///< upper two bits of entry i: bit pair i % 4 of byte i / 4
        uint8_t scales[8];  ///< group g: half g % 2 of byte g / 2
    };

    QUERN_INLINE static uint64_t entry(const Block& block, int i) {
        return iq2_s_grid[block.qs[i] | (block.qh[i / 4] >> i % 4 * 2 & 3) << 8];
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 32; ++i) {
            const int stored = block.scales[i / 4] >> (i / 2 % 2 * 4) & 15;
            const float scale = d * (0.5f + static_cast<float>(stored)) * 0.25f;
            decode_signed_8(entry(block, i), block.signs[i], scale, out + 8 * i);
        }
    }
};
static_assert(sizeof(IQ2_S::Block) == 82);

}  // namespace quern
