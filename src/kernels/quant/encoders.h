// The encoders of the quantized formats by instruction set; nullptr for other formats.
#pragma once

#include "kernels/quant/encode.h"

namespace quern::scalar {
EncodeKernel quantized_encoder(DType dtype) noexcept;
}
namespace quern::avx2 {
EncodeKernel quantized_encoder(DType dtype) noexcept;
}
namespace quern::avx512 {
EncodeKernel quantized_encoder(DType dtype) noexcept;
}
