#include "kernels/quant/encode.h"

#include "kernels/quant/float/encoders.h"
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/k/encoders.h"
#include "kernels/quant/legacy/encoders.h"

namespace quern {
namespace {

struct Encoder {
    DType dtype;
    EncodeKernel encode;
};

constexpr Encoder encoders[] = {
    {DType::f16, encode_f16},       {DType::bf16, encode_bf16},       {DType::q4_0, encode_q4_0},       {DType::q4_1, encode_q4_1},
    {DType::q5_0, encode_q5_0},     {DType::q5_1, encode_q5_1},       {DType::q8_0, encode_q8_0},       {DType::q2_k, encode_q2_k},
    {DType::q3_k, encode_q3_k},     {DType::q4_k, encode_q4_k},       {DType::q5_k, encode_q5_k},       {DType::q6_k, encode_q6_k},
    {DType::iq4_nl, encode_iq4_nl}, {DType::iq4_xs, encode_iq4_xs},   {DType::mxfp4, encode_mxfp4},     {DType::tq1_0, encode_tq1_0},
    {DType::tq2_0, encode_tq2_0},   {DType::iq3_s, encode_iq3_s},     {DType::iq3_xxs, encode_iq3_xxs}, {DType::iq2_s, encode_iq2_s},
    {DType::iq2_xs, encode_iq2_xs}, {DType::iq2_xxs, encode_iq2_xxs}, {DType::iq1_s, encode_iq1_s},     {DType::iq1_m, encode_iq1_m},
};

}  // namespace

EncodeKernel encode_for(DType dtype) noexcept {
    for (const Encoder& each : encoders)
        if (each.dtype == dtype) return each.encode;
    return nullptr;
}

}  // namespace quern
