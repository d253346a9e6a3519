// Activations to int8 with a scale per block: scale = max |x| / 127, q = x / scale to the nearest, ties to even.
// Every instruction set computes the same bits.
#pragma once

#include <cstring>

#include "kernels/inline.h"
#include "kernels/matmul/activations.h"
#include "kernels/matmul/matmul.h"

namespace quern {

/// 127 / max, or 0 for blocks so small that this would overflow: their values count as 0.
QUERN_INLINE float inverse_scale(float max) { return max >= 1e-35f ? 127.0f / max : 0.0f; }

template <typename V>
QUERN_INLINE float largest_of(const float* x, int n) {
    auto most = V::zero();
    for (int i = 0; i < n; i += 8) most = V::largest_magnitude(V::load_floats(x + i), most);
    return V::largest(most);
}

/// Writes n quantized values and returns their sum. n is a multiple of 8.
template <typename V>
QUERN_INLINE int quantize_values(const float* x, int n, float inverse, int8_t* out) {
    auto sum = V::zero_ints();
    for (int i = 0; i < n; i += 8) {
        const auto q = V::round(V::times(V::load_floats(x + i), V::splat(inverse)));
        V::store_as_bytes(q, out + i);
        sum = V::add(sum, q);
    }
    return V::total(sum);
}

template <typename V>
void quantize_32(const float* x, std::byte* out, int64_t n) noexcept {
    auto* block = reinterpret_cast<ActivationBlock32*>(out);
    for (int64_t i = 0; i < n; i += 32, ++block) {
        const float max = largest_of<V>(x + i, 32);
        block->scale = max / 127.0f;
        block->sum = block->scale * static_cast<float>(quantize_values<V>(x + i, 32, inverse_scale(max), block->q));
    }
}

template <typename V>
void quantize_256(const float* x, std::byte* out, int64_t n) noexcept {
    auto* block = reinterpret_cast<ActivationBlock256*>(out);
    for (int64_t i = 0; i < n; i += 256, ++block) {
        const float max = largest_of<V>(x + i, 256);
        const float inverse = inverse_scale(max);
        block->scale = max / 127.0f;
        for (int g = 0; g < 16; ++g)
            block->sums[g] = static_cast<int16_t>(quantize_values<V>(x + i + 16 * g, 16, inverse, block->q + 16 * g));
    }
}

/// f32 activations are what they are.
template <typename V>
void copy_f32(const float* x, std::byte* out, int64_t n) noexcept {
    std::memcpy(out, x, static_cast<size_t>(n) * sizeof(float));
}

/// nullptr never: there is a kernel for each of the three.
template <typename V>
QuantizeKernel find_quantize_kernel(ActivationFormat format) noexcept {
    switch (format) {
        case ActivationFormat::q8_32:
            return quantize_32<V>;
        case ActivationFormat::q8_256:
            return quantize_256<V>;
        default:
            return copy_f32<V>;
    }
}

}  // namespace quern
