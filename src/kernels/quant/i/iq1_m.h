// 256 values in 56 bytes, 16 groups of 16: x = d * (1 + 2 scale) * (t + delta), 3-bit scales, t of -1, 0, 1 by 8 from IQ1_S's code book,
// delta = 1/8 or -1/8 for each 8 values.
// Source: the GGUF specification's IQ1_M block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq1_s.h"

namespace quern {

struct IQ1_M {
    static constexpr DType dtype = DType::iq1_m;
    static constexpr int block_values = 256;
    struct Block {
        uint8_t qs[32];      ///< values 8 i .. 8 i + 7: lower 8 bits of their entry
        uint8_t qh[16];      ///< half i % 2 of byte i / 2: upper three bits of entry i, on top a bit that makes its delta negative
        uint16_t scales[4];  ///< scale of group g: bits 3 (g % 4) and up of number g / 4; on top of number k bits 4 k and up of d, an f16
    };

    QUERN_INLINE static uint16_t scale_bits(const Block& block) {
        return static_cast<uint16_t>(block.scales[0] >> 12 | (block.scales[1] >> 8 & 0x00f0) | (block.scales[2] >> 4 & 0x0f00) |
                                     (block.scales[3] & 0xf000));
    }
    /// As IQ1_S::values.
    QUERN_INLINE static uint64_t values(const Block& block, int i) {
        const unsigned high = block.qh[i / 2] >> i % 2 * 4;
        const uint64_t delta = high & 8 ? 0 : 0x0202020202020202u;
        return iq1_grid[block.qs[i] | (high & 7) << 8] + delta;
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(scale_bits(block));
        for (int i = 0; i < 32; ++i) {
            const int stored = block.scales[i / 8] >> i / 2 % 4 * 3 & 7;
            decode_ternary_8(values(block, i), d * static_cast<float>(2 * stored + 1), out + 8 * i);
        }
    }
};
static_assert(sizeof(IQ1_M::Block) == 56);

}  // namespace quern
