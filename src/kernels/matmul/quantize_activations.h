// Activations to bf16, or to 16-bit integers with a scale per block: scale = max |x| / 32512, q = x / scale to the nearest, ties to even,
// then high = q / 256 to the nearest and low = q - 256 high, but -127 for -128: that byte's magnitude is no int8, which kernels rely on.
// Every instruction set computes the same bits.
#pragma once

#include <cstring>

#include "kernels/inline.h"
#include "kernels/matmul/activations.h"
#include "kernels/matmul/matmul.h"

namespace quern {

inline constexpr float largest_q = 127 * 256;

/// largest_q / max, or 0 for blocks so small that this would overflow: their values count as 0.
QUERN_INLINE float inverse_scale(float max) { return max >= 1e-33f ? largest_q / max : 0.0f; }

template <typename V>
QUERN_INLINE float largest_of(const float* x, int n) {
    auto most = V::zero();
    for (int i = 0; i < n; i += 8) most = V::largest_magnitude(V::load_floats(x + i), most);
    return V::largest(most);
}

struct PlaneSums {
    int high, low;
};

/// Writes n quantized values, a multiple of 8, as two planes and returns the sums of both.
template <typename V>
QUERN_INLINE PlaneSums quantize_values(const float* x, int n, float inverse, int8_t* high, int8_t* low) {
    auto high_sum = V::zero_ints(), low_sum = V::zero_ints();
    for (int i = 0; i < n; i += 8) {
        const auto q = V::round(V::times(V::load_floats(x + i), V::splat(inverse)));
        const auto h = V::high_plane(q), l = V::low_plane(q, h);
        V::store_as_bytes(h, high + i);
        V::store_as_bytes(l, low + i);
        high_sum = V::add(high_sum, h);
        low_sum = V::add(low_sum, l);
    }
    return {V::total(high_sum), V::total(low_sum)};
}

template <typename V>
void quantize_32(const float* x, std::byte* out, int64_t n) noexcept {
    auto* block = reinterpret_cast<ActivationBlock32*>(out);
    for (int64_t i = 0; i < n; i += 32, ++block) {
        const float max = largest_of<V>(x + i, 32);
        block->scale = max / largest_q;
        const PlaneSums sums = quantize_values<V>(x + i, 32, inverse_scale(max), block->high, block->low);
        block->q_sum = 256 * sums.high + sums.low;
        block->sum = block->scale * static_cast<float>(block->q_sum);
    }
}

QUERN_INLINE void write_words(ActivationBlock256& block) {
    for (int part = 0; part < 256; part += 64)
        for (int i = 0; i < 32; ++i) {
            block.words[part + i] = static_cast<int16_t>(block.q(part + 2 * i));
            block.words[part + 32 + i] = static_cast<int16_t>(block.q(part + 2 * i + 1));
        }
}

template <typename V>
void quantize_256(const float* x, std::byte* out, int64_t n) noexcept {
    auto* block = reinterpret_cast<ActivationBlock256*>(out);
    for (int64_t i = 0; i < n; i += 256, ++block) {
        const float max = largest_of<V>(x + i, 256);
        const float inverse = inverse_scale(max);
        block->scale = max / largest_q;
        for (int g = 0; g < 16; ++g) {
            const PlaneSums sums = quantize_values<V>(x + i + 16 * g, 16, inverse, block->high + 16 * g, block->low + 16 * g);
            block->high_sums[g] = static_cast<int16_t>(sums.high);
            block->low_sums[g] = static_cast<int16_t>(sums.low);
        }
        for (int g = 0; g < 8; ++g) {
            const int at = ActivationBlock256::sum_32_of(g);
            block->high_sums_32[at] = static_cast<int16_t>(block->high_sums[2 * g] + block->high_sums[2 * g + 1]);
            block->low_sums_32[at] = static_cast<int16_t>(block->low_sums[2 * g] + block->low_sums[2 * g + 1]);
        }
        write_words(*block);
    }
}

/// f32 activations are what they are.
template <typename V>
void copy_f32(const float* x, std::byte* out, int64_t n) noexcept {
    std::memcpy(out, x, static_cast<size_t>(n) * sizeof(float));
}

/// To the nearest bf16, ties to even; what is not a number stays so. V is a parameter so that each instruction set has its own copy.
template <typename V>
void round_to_bf16(const float* x, std::byte* out, int64_t n) noexcept {
    auto* to = reinterpret_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; ++i) {
        uint32_t bits;
        std::memcpy(&bits, x + i, sizeof bits);
        const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        to[i] = static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
    }
}

/// nullptr never: there is a kernel for each format.
template <typename V>
QuantizeKernel find_quantize_kernel(ActivationFormat format) noexcept {
    switch (format) {
        case ActivationFormat::bf16:
            return round_to_bf16<V>;
        case ActivationFormat::i16_32:
            return quantize_32<V>;
        case ActivationFormat::i16_256:
            return quantize_256<V>;
        default:
            return copy_f32<V>;
    }
}

}  // namespace quern
