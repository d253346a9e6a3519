// 256 values in 110 bytes, 8 groups of 32: x = d * (1 + 2 scale) * sign * magnitude, 4-bit scales, magnitudes by 4 from a code book of
// 512, free signs.
// Source: the GGUF specification's IQ3_S block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq_bits.h"
#include "kernels/quant/i/iq_grids.h"

namespace quern {

struct IQ3_S {
    static constexpr DType dtype = DType::iq3_s;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;         ///< f16
        uint8_t qs[64];     ///< values 4 i .. 4 i + 3: lower 8 bits of their entry
        uint8_t qh[8];      ///< upper bit of entry i: bit i % 8 of byte i / 8
        uint8_t signs[32];  ///< of values 8 i .. 8 i + 7
        uint8_t scales[4];  ///< group g: half g % 2 of byte g / 2
    };

    /// Of values 8 i .. 8 i + 7.
    QUERN_INLINE static uint64_t entries(const Block& block, int i) {
        const int high = block.qh[i / 4] >> i % 4 * 2;
        return join(iq3_s_grid[block.qs[2 * i] | (high & 1) << 8], iq3_s_grid[block.qs[2 * i + 1] | (high & 2) << 7]);
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 32; ++i) {
            const int stored = block.scales[i / 8] >> (i / 4 % 2 * 4) & 15;
            decode_signed_8(entries(block, i), block.signs[i], d * static_cast<float>(1 + 2 * stored), out + 8 * i);
        }
    }
};
static_assert(sizeof(IQ3_S::Block) == 110);

}  // namespace quern
