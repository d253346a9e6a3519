// Rows of quantized values back into f32. The same code on every machine, so that the bits are the same.
#pragma once

#include "kernels/matmul/matmul.h"

namespace quern {

/// nullptr for formats that quern cannot decode.
DecodeKernel decode_for(DType dtype) noexcept;

}  // namespace quern
