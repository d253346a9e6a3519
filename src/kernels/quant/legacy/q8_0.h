// 32 values in 34 bytes: x[i] = d * q[i], -128 <= q < 128.
// Source: the GGUF specification's Q8_0 block; decode follows the order of operations of its published Python package.
#pragma once

#include <cstdint>

#include "kernels/quant/float/f16.h"

namespace quern {

struct Q8_0 {
    static constexpr DType dtype = DType::q8_0;
    static constexpr int block_values = 32;
    struct Block {
        uint16_t d;  ///< f16
        int8_t qs[32];
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = f16_to_f32(block.d);
        for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
    }
};
static_assert(sizeof(Q8_0::Block) == 34);

}  // namespace quern
