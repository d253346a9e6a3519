#include "kernels/quant/encode.h"

#include "kernels/quant/encoders.h"
#include "kernels/quant/float/encoders.h"

namespace quern {

EncodeKernel encode_for(DType dtype, Isa isa) noexcept {
    if (dtype == DType::f16) return encode_f16;
    if (dtype == DType::bf16) return encode_bf16;
#if defined(__x86_64__)
    if (isa == Isa::avx512) return avx512::quantized_encoder(dtype);
    if (isa == Isa::avx2) return avx2::quantized_encoder(dtype);
#endif
    (void)isa;
    return scalar::quantized_encoder(dtype);
}

}  // namespace quern
