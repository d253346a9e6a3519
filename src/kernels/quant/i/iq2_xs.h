// 256 values in 74 bytes, 16 groups of 16: x = d * (0.5 + scale) / 4 * sign * magnitude, 4-bit scales, magnitudes by 8 from a code book
// of 512. The signs of 8 values have even parity.
// Source: the GGUF specification's IQ2_XS block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq_bits.h"
#include "kernels/quant/i/iq_grids.h"

namespace quern {

struct IQ2_XS {
    static constexpr DType dtype = DType::iq2_xs;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;         ///< f16
        uint16_t qs[32];    ///< values 8 i .. 8 i + 7: 9 bits of entry, 7 bits of signs
        uint8_t scales[8];  ///< group g: half g % 2 of byte g / 2
    };

    QUERN_INLINE static uint64_t entry(const Block& block, int i) { return iq2_xs_grid[block.qs[i] & 511]; }
    /// Of values 32 v .. 32 v + 31.
    QUERN_INLINE static uint32_t signs(const Block& block, int v) {
        const auto seven = [&](int i) { return static_cast<uint32_t>(block.qs[4 * v + i] >> 9) << 7 * i; };
        return even_signs(seven(0) | seven(1) | seven(2) | seven(3));
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 32; ++i) {
            const int stored = block.scales[i / 4] >> (i / 2 % 2 * 4) & 15;
            const float scale = d * (0.5f + static_cast<float>(stored)) * 0.25f;
            decode_signed_8(entry(block, i), signs(block, i / 4) >> i % 4 * 8, scale, out + 8 * i);
        }
    }
};
static_assert(sizeof(IQ2_XS::Block) == 74);

}  // namespace quern
