// The encoders of all quantized formats, for one instruction set. Included once for each, by encode_*.cpp.
#pragma once

#include "kernels/quant/encode.h"
#include "kernels/quant/fp4/mxfp4_encode.h"
#include "kernels/quant/i/iq1_encode.h"
#include "kernels/quant/i/iq2_encode.h"
#include "kernels/quant/i/iq3_encode.h"
#include "kernels/quant/i/iq4_encode.h"
#include "kernels/quant/k/affine_k_encode.h"
#include "kernels/quant/k/symmetric_k_encode.h"
#include "kernels/quant/legacy/legacy_encode.h"
#include "kernels/quant/ternary/ternary_encode.h"

namespace quern {

/// @tparam V  the Exact of the instruction set
template <typename V>
QUERN_INLINE EncodeKernel quantized_encoder(DType dtype) {
    switch (dtype) {
        case DType::q4_0:
            return encode_q4_0<V>;
        case DType::q4_1:
            return encode_q4_1<V>;
        case DType::q5_0:
            return encode_q5_0<V>;
        case DType::q5_1:
            return encode_q5_1<V>;
        case DType::q8_0:
            return encode_q8_0<V>;
        case DType::q2_k:
            return encode_q2_k<V>;
        case DType::q3_k:
            return encode_q3_k<V>;
        case DType::q4_k:
            return encode_q4_k<V>;
        case DType::q5_k:
            return encode_q5_k<V>;
        case DType::q6_k:
            return encode_q6_k<V>;
        case DType::iq1_s:
            return encode_iq1_s<V>;
        case DType::iq1_m:
            return encode_iq1_m<V>;
        case DType::iq2_xxs:
            return encode_iq2_xxs<V>;
        case DType::iq2_xs:
            return encode_iq2_xs<V>;
        case DType::iq2_s:
            return encode_iq2_s<V>;
        case DType::iq3_xxs:
            return encode_iq3_xxs<V>;
        case DType::iq3_s:
            return encode_iq3_s<V>;
        case DType::iq4_nl:
            return encode_iq4_nl<V>;
        case DType::iq4_xs:
            return encode_iq4_xs<V>;
        case DType::tq1_0:
            return encode_tq1_0<V>;
        case DType::tq2_0:
            return encode_tq2_0<V>;
        case DType::mxfp4:
            return encode_mxfp4<V>;
        default:
            return nullptr;
    }
}

}  // namespace quern
