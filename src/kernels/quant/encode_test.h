// Values for the tests of encoders, from integers only, so that every machine has the same.
#pragma once

#include <vector>

#include "kernels/quant/encode.h"

namespace quern {

inline constexpr DType encoded_formats[] = {DType::q4_0,    DType::q4_1,   DType::q5_0,  DType::q5_1,    DType::q8_0,  DType::q2_k,
                                            DType::q3_k,    DType::q4_k,   DType::q5_k,  DType::q6_k,    DType::iq1_s, DType::iq1_m,
                                            DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::iq3_xxs, DType::iq3_s, DType::iq4_nl,
                                            DType::iq4_xs,  DType::tq1_0,  DType::tq2_0, DType::mxfp4};
inline constexpr size_t n_sample = 64 * 256;

/// Close to normally distributed: sums of twelve even ones.
inline std::vector<float> sample_values(uint32_t seed, size_t n) {
    std::vector<float> out(n);
    for (float& value : out) {
        int32_t sum = 0;
        for (int i = 0; i < 12; ++i) {
            seed = seed * 1664525u + 1013904223u;
            sum += static_cast<int32_t>(seed >> 16) - 32768;
        }
        value = static_cast<float>(sum) * 0x1p-21f;
    }
    return out;
}

/// n_sample weights of 1/16 to 16 around 1: some inputs matter far more than others.
inline std::vector<float> sample_importance() {
    std::vector<float> out = sample_values(99, n_sample);
    for (float& value : out) value = (0.01f + value * value * 64.0f) * (0.01f + value * value * 64.0f);
    return out;
}

inline std::vector<std::byte> encoded(DType dtype, Isa isa, const std::vector<float>& x, const float* importance) {
    std::vector<std::byte> out(row_bytes(dtype, x.size()));
    encode_for(dtype, isa)(x.data(), importance, static_cast<int64_t>(x.size()), out.data());
    return out;
}

}  // namespace quern
