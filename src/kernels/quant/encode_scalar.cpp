// The encoders in plain C++.
#include "kernels/quant/encode_table.h"
#include "kernels/quant/encoders.h"
#include "kernels/simd/exact_scalar.h"

namespace quern::scalar {

EncodeKernel quantized_encoder(DType dtype) noexcept { return quern::quantized_encoder<Exact>(dtype); }

}  // namespace quern::scalar
