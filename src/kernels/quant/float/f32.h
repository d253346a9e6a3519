// IEEE 754 single precision, as it is.
#pragma once

#include "kernels/inline.h"
#include "tensor/dtype.h"

namespace quern {

struct F32 {
    static constexpr DType dtype = DType::f32;
    static constexpr int block_values = 1;
    using Block = float;

    QUERN_INLINE static void decode(const Block& block, float* out) { *out = block; }
};
static_assert(sizeof(F32::Block) == 4);

}  // namespace quern
