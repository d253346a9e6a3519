// 32 values in 18 bytes: x[i] = d * levels[q[i]], 0 <= q < 16, of levels that lie denser around zero.
// Source: the GGUF specification's IQ4_NL block; levels and decode are those of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

/// The levels of IQ4_NL and IQ4_XS.
alignas(16) inline constexpr int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct IQ4_NL {
    static constexpr DType dtype = DType::iq4_nl;
    static constexpr int block_values = 32;
    struct Block {
        uint16_t d;      ///< f16
        uint8_t qs[16];  ///< value i in the low half of byte i, value 16 + i in the high half
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 16; ++i) {
            out[i] = d * static_cast<float>(iq4_levels[block.qs[i] & 15]);
            out[16 + i] = d * static_cast<float>(iq4_levels[block.qs[i] >> 4]);
        }
    }
};
static_assert(sizeof(IQ4_NL::Block) == 18);

}  // namespace quern
