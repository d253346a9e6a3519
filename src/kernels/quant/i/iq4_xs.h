// 256 values in 136 bytes, 8 groups of 32: x = (d * (scale - 32)) * levels[q], 0 <= q < 16, 6-bit scales, levels as in IQ4_NL.
// Source: the GGUF specification's IQ4_XS block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq4_nl.h"
#include "kernels/quant/i/iq_bits.h"

namespace quern {

struct IQ4_XS {
    static constexpr DType dtype = DType::iq4_xs;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;           ///< f16
        uint16_t scales_h;    ///< upper two bits of scale g: bit pair g
        uint8_t scales_l[4];  ///< lower four bits of scale g: half g % 2 of byte g / 2
        uint8_t qs[128];      ///< value 32 g + l in the low half of byte 16 g + l, value 32 g + 16 + l in the high half
    };

    /// The 8 scales, 32 less than stored, as int8.
    QUERN_INLINE static uint64_t scales(const Block& block) {
        const uint64_t stored = nibbles_to_bytes(read_u32(block.scales_l)) | pairs_to_bytes(block.scales_h) << 4;
        return ((stored | 0x8080808080808080u) - 0x2020202020202020u) ^ 0x8080808080808080u;
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        const uint64_t packed = scales(block);
        for (int g = 0; g < 8; ++g) {
            const float scale = d * static_cast<float>(static_cast<int8_t>(packed >> 8 * g));
            for (int l = 0; l < 16; ++l) {
                const uint8_t both = block.qs[16 * g + l];
                out[32 * g + l] = scale * static_cast<float>(iq4_levels[both & 15]);
                out[32 * g + 16 + l] = scale * static_cast<float>(iq4_levels[both >> 4]);
            }
        }
    }
};
static_assert(sizeof(IQ4_XS::Block) == 136);

}  // namespace quern
