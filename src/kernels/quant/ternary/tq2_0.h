// 256 values in 66 bytes: x[i] = d * (q[i] - 1), 0 <= q < 3 in two bits.
// Source: the GGUF specification's TQ2_0 block; decode follows its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct TQ2_0 {
    static constexpr DType dtype = DType::tq2_0;
    static constexpr int block_values = 256;
    struct Block {
        uint8_t qs[64];  ///< value 128 h + 32 j + l is bit pair j of byte 32 h + l
        uint16_t d;      ///< f16
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 256; ++i) {
            const int q = block.qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            out[i] = d * static_cast<float>(q - 1);
        }
    }
};
static_assert(sizeof(TQ2_0::Block) == 66);

}  // namespace quern
