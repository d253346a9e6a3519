// 256 values in 50 bytes, 8 groups of 32: x = d * (1 + 2 scale) * (t + delta), 3-bit scales, t of -1, 0, 1 by 8 from a code book of 2048,
// delta = 1/8 or -1/8 for each group.
// Source: the GGUF specification's IQ1_S block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"
#include "kernels/quant/i/iq_bits.h"
#include "kernels/quant/i/iq_grids.h"

namespace quern {

/// Eight times scale * (t + delta). @param bytes  8 (t + 1 + delta) + 1 of each
QUERN_INLINE void decode_ternary_8(uint64_t bytes, float scale, float* out) {
    for (int i = 0; i < 8; ++i) out[i] = scale * (static_cast<float>(static_cast<int>(bytes >> 8 * i & 0xff) - 9) * 0.125f);
}

struct IQ1_S {
    static constexpr DType dtype = DType::iq1_s;
    static constexpr int block_values = 256;
    struct Block {
        uint16_t d;      ///< f16
        uint8_t qs[32];  ///< values 8 i .. 8 i + 7: lower 8 bits of their entry
        uint16_t qh[8];  ///< group g: upper three bits of its four entries, three bits of scale, on top a bit that makes delta negative
    };

    /// 8 (t + 1 + delta) + 1 of values 8 i .. 8 i + 7: 9 more than 8 (t + delta).
    QUERN_INLINE static uint64_t values(const Block& block, int i) {
        const unsigned high = block.qh[i / 4];
        const uint64_t delta = high >> 15 ? 0 : 0x0202020202020202u;
        return iq1_grid[block.qs[i] | (high >> 3 * (i % 4) & 7) << 8] + delta;
    }

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 32; ++i)
            decode_ternary_8(values(block, i), d * static_cast<float>(2 * (block.qh[i / 4] >> 12 & 7) + 1), out + 8 * i);
    }
};
static_assert(sizeof(IQ1_S::Block) == 50);

}  // namespace quern
