// The encoders compiled for AVX-512, without fused products.
#if defined(__x86_64__)
#include "kernels/quant/encode_table.h"
#include "kernels/quant/encoders.h"
#include "kernels/simd/exact_avx512.h"

namespace quern::avx512 {

EncodeKernel quantized_encoder(DType dtype) noexcept { return quern::quantized_encoder<Exact>(dtype); }

}  // namespace quern::avx512
#endif
