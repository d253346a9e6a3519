// 32 values in 17 bytes: x[i] = 2^(e - 128) * levels[q[i]], levels: the doubled numbers of 4 bits (1 sign, 2 exponent, 1 fraction).
// Source: the Open Compute Project's Microscaling formats 1.0; decode is that of the GGUF specification's published Python package, which
// has 0 for the negative zero.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"
#include "tensor/dtype.h"

namespace quern {

alignas(16) inline constexpr int8_t fp4_levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 2^(exponent - 128).
QUERN_INLINE float half_power(uint8_t exponent) {
    const uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23;  // the two least are subnormal
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

struct MXFP4 {
    static constexpr DType dtype = DType::mxfp4;
    static constexpr int block_values = 32;
    struct Block {
        uint8_t e;       ///< exponent
        uint8_t qs[16];  ///< value i in the low half of byte i, value 16 + i in the high half
    };

    QUERN_INLINE static void decode(const Block& block, float* out) {
        const float d = half_power(block.e);
        for (int i = 0; i < 16; ++i) {
            out[i] = d * static_cast<float>(fp4_levels[block.qs[i] & 15]);
            out[16 + i] = d * static_cast<float>(fp4_levels[block.qs[i] >> 4]);
        }
    }
};
static_assert(sizeof(MXFP4::Block) == 17);

}  // namespace quern
