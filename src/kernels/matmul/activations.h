// The forms in which activations meet weights. Quantized once per norm output, shared by every matmul that reads it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace quern {

/// f32 for float weights; int8 with one scale per 32 values for Q4_0..Q8_0; int8 with one scale per 256 values for the K types.
enum class ActivationFormat : uint8_t { f32, q8_32, q8_256 };
inline constexpr int n_activation_formats = 3;

/// 32 values: x[i] = scale * q[i], |q| <= 127. `sum` is scale * (q[0] + ... + q[31]), for formats with an offset.
struct ActivationBlock32 {
    float scale;
    float sum;
    int8_t q[32];
};
static_assert(sizeof(ActivationBlock32) == 40);

/// 256 values: x[i] = scale * q[i], |q| <= 127. sums[j] = q[16 j] + ... + q[16 j + 15].
struct ActivationBlock256 {
    float scale;
    int16_t sums[16];
    int8_t q[256];
};
static_assert(sizeof(ActivationBlock256) == 292);

/// The form that the kernels of this weight format read.
constexpr ActivationFormat activation_format(DType weights) {
    switch (weights) {
        case DType::q4_0:
        case DType::q4_1:
        case DType::q5_0:
        case DType::q5_1:
        case DType::q8_0:
            return ActivationFormat::q8_32;
        case DType::q2_k:
        case DType::q3_k:
        case DType::q4_k:
        case DType::q5_k:
        case DType::q6_k:
            return ActivationFormat::q8_256;
        default:
            return ActivationFormat::f32;
    }
}

/// Bytes of one row of n values. REQUIRES: n is a multiple of the format's block (1, 32, 256).
constexpr int64_t activation_row_bytes(ActivationFormat format, int64_t n) {
    switch (format) {
        case ActivationFormat::q8_32:
            return n / 32 * static_cast<int64_t>(sizeof(ActivationBlock32));
        case ActivationFormat::q8_256:
            return n / 256 * static_cast<int64_t>(sizeof(ActivationBlock256));
        default:
            return n * static_cast<int64_t>(sizeof(float));
    }
}

}  // namespace quern
