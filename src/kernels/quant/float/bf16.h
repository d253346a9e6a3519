// bfloat16: the upper half of an f32.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"
#include "tensor/dtype.h"

namespace quern {

QUERN_INLINE float bf16_to_f32(uint16_t upper) {
    const uint32_t bits = static_cast<uint32_t>(upper) << 16;
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

struct BF16 {
    static constexpr DType dtype = DType::bf16;
    static constexpr int block_values = 1;
    using Block = uint16_t;

    QUERN_INLINE static void decode(const Block& block, float* out) { *out = bf16_to_f32(block); }
};
static_assert(sizeof(BF16::Block) == 2);

}  // namespace quern
