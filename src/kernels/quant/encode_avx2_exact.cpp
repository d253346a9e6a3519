// The encoders compiled for AVX2, without fused products.
#if defined(__x86_64__)
#include "kernels/quant/encode_table.h"
#include "kernels/quant/encoders.h"
#include "kernels/simd/exact_avx2.h"

namespace quern::avx2 {

EncodeKernel quantized_encoder(DType dtype) noexcept { return quern::quantized_encoder<Exact>(dtype); }

}  // namespace quern::avx2
#endif
