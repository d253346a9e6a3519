// IEEE 754 half precision: 1 sign, 5 exponent (bias 15) and 10 fraction bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"
#include "tensor/dtype.h"

namespace quern {

/// Exact; infinities and NaNs keep their kind.
QUERN_INLINE float f16_to_f32(uint16_t half) {
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    uint32_t bits;
    if (magnitude >= 0x7c00u) {
        bits = 0x7f800000u | (magnitude & 0x3ffu) << 13 | (magnitude > 0x7c00u ? 0x400000u : 0u);
    } else if (magnitude >= 0x400u) {
        bits = (magnitude << 13) + ((127u - 15u) << 23);
    } else {
        const float small = static_cast<float>(magnitude) * 0x1p-24f;  // subnormal: units of 2^-24
        std::memcpy(&bits, &small, sizeof bits);
    }
    bits |= sign;
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

struct F16 {
    static constexpr DType dtype = DType::f16;
    static constexpr int block_values = 1;
    using Block = uint16_t;

    QUERN_INLINE static void decode(const Block& block, float* out) { *out = f16_to_f32(block); }
};
static_assert(sizeof(F16::Block) == 2);

}  // namespace quern
