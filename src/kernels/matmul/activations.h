// The forms in which activations meet weights. Made once per norm output, shared by every matmul that reads it.
// Row kernels read integers of 16 bits, kept as two planes of bytes so that byte dot products serve them: with int8 alone the noise of
// small models shows in their text (SmolLM2-135M: a KL divergence of 5e-3 to its f32 form). Panels read f32 or bf16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace quern {

/// i16_32 and i16_256: two planes of int8 with one scale per 32 (Q4_0..Q8_0, IQ4_NL, MXFP4) or 256 values (the other
/// quantized types).
enum class ActivationFormat : uint8_t { f32, bf16, i16_32, i16_256 };
inline constexpr int n_activation_formats = 4;

/// 32 values: x[i] = scale * q[i], q[i] = 256 * high[i] + low[i], |high| and |low| <= 127. q_sum is q[0] + ... + q[31] and
/// `sum` is scale * q_sum, for formats with a bias or an offset.
struct ActivationBlock32 {
    float scale;
    float sum;
    int32_t q_sum;
    int8_t high[32], low[32];

    int q(int64_t i) const { return 256 * high[i] + low[i]; }
};
static_assert(sizeof(ActivationBlock32) == 76);

/// 256 values, as above. high_sums[j] = high[16 j] + ... + high[16 j + 15], low_sums likewise; those of 32 values are in the order 0 2 1 3
/// 4 6 5 7, in which block_lanes.h has the minimums that they meet. `words` are the values again, as kernels for some tokens read them: of
/// each 64 first the even ones, then the odd ones. The planes and the words are whole cache lines, so that no vector of them lies across
/// two.
struct ActivationBlock256 {
    int8_t high[256], low[256];
    int16_t high_sums[16], low_sums[16];
    float scale;
    int16_t high_sums_32[8], low_sums_32[8];
    std::byte unused[28];
    int16_t words[256];

    int q(int64_t i) const { return 256 * high[i] + low[i]; }
    static constexpr int sum_32_of(int g) { return g / 4 * 4 + g % 2 * 2 + g % 4 / 2; }
    static constexpr int64_t word_of(int64_t i) { return i / 64 * 64 + i % 2 * 32 + i % 64 / 2; }
};
static_assert(sizeof(ActivationBlock256) == 1152);

/// The form that the row kernels of this weight format read.
constexpr ActivationFormat row_activations(DType weights) {
    switch (weights) {
        case DType::q4_0:
        case DType::q4_1:
        case DType::q5_0:
        case DType::q5_1:
        case DType::q8_0:
        case DType::iq4_nl:
        case DType::mxfp4:
            return ActivationFormat::i16_32;
        case DType::q2_k:
        case DType::q3_k:
        case DType::q4_k:
        case DType::q5_k:
        case DType::q6_k:
        case DType::iq1_s:
        case DType::iq1_m:
        case DType::iq2_xxs:
        case DType::iq2_xs:
        case DType::iq2_s:
        case DType::iq3_xxs:
        case DType::iq3_s:
        case DType::iq4_xs:
        case DType::tq1_0:
        case DType::tq2_0:
            return ActivationFormat::i16_256;
        default:
            return ActivationFormat::f32;
    }
}

/// Bytes of one row of n values. REQUIRES: n is a multiple of the format's block (1, 2, 32, 256).
constexpr int64_t activation_row_bytes(ActivationFormat format, int64_t n) {
    switch (format) {
        case ActivationFormat::bf16:
            return n * static_cast<int64_t>(sizeof(uint16_t));
        case ActivationFormat::i16_32:
            return n / 32 * static_cast<int64_t>(sizeof(ActivationBlock32));
        case ActivationFormat::i16_256:
            return n / 256 * static_cast<int64_t>(sizeof(ActivationBlock256));
        default:
            return n * static_cast<int64_t>(sizeof(float));
    }
}

}  // namespace quern
