// Quantized activations: their rule, and that every instruction set writes the same bytes.
#include "kernels/matmul/activations.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/cpu_kernels.h"

namespace quern {
namespace {

std::vector<float> sample(size_t n) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    std::vector<float> x(n);
    for (float& value : x) value = normal(random);
    for (size_t i = 256; i < 512; ++i) x[i] = 0.0f;     // a block of nothing
    for (size_t i = 512; i < 544; ++i) x[i] *= 1e-38f;  // too small to divide by
    for (size_t i = 768; i < 1024; ++i) x[i] *= 1e30f;
    for (size_t i = 1024; i < 1280; ++i) x[i] = static_cast<float>(i % 255) - 127.0f;                        // scale 1, ...
    for (size_t i = 1280; i < 1536; ++i) x[i] = (static_cast<float>(i % 254) - 126.5f) * (127.0f / 126.5f);  // ... and ties
    return x;
}

std::vector<std::byte> quantize(Isa isa, ActivationFormat format, const std::vector<float>& x) {
    const auto n = static_cast<int64_t>(x.size());
    std::vector<std::byte> out(static_cast<size_t>(activation_row_bytes(format, n)));
    cpu_kernels(isa).quantize[static_cast<int>(format)](x.data(), out.data(), n);
    return out;
}

}  // namespace

TEST_CASE("a quantized value is off by at most half a step, and sums are those of the quantized values") {
    const std::vector<float> x = sample(2048);
    const std::vector<std::byte> row32 = quantize(Isa::scalar, ActivationFormat::q8_32, x);
    const std::vector<std::byte> row256 = quantize(Isa::scalar, ActivationFormat::q8_256, x);
    for (size_t i = 0; i < x.size(); ++i) {
        const auto& b32 = reinterpret_cast<const ActivationBlock32*>(row32.data())[i / 32];
        const auto& b256 = reinterpret_cast<const ActivationBlock256*>(row256.data())[i / 256];
        CHECK(std::abs(x[i] - b32.scale * static_cast<float>(b32.q[i % 32])) <= 0.501f * b32.scale + 1e-35f);
        CHECK(std::abs(x[i] - b256.scale * static_cast<float>(b256.q[i % 256])) <= 0.501f * b256.scale + 1e-35f);
        if (i % 32 == 0) {
            int sum = 0;
            for (const int8_t q : b32.q) sum += q;
            CHECK(b32.sum == b32.scale * static_cast<float>(sum));
        }
        if (i % 16 == 0) {
            int sum = 0;
            for (size_t j = 0; j < 16; ++j) sum += b256.q[i % 256 + j];
            CHECK(b256.sums[i % 256 / 16] == sum);
        }
    }
}

TEST_CASE("every instruction set quantizes to the same bytes") {
    const std::vector<float> x = sample(2048);
    for (const ActivationFormat format : {ActivationFormat::f32, ActivationFormat::q8_32, ActivationFormat::q8_256})
        for (const Isa isa : {Isa::avx2, Isa::avx512})
            if (isa <= best_isa()) CHECK(quantize(isa, format, x) == quantize(Isa::scalar, format, x));
}

TEST_CASE("activations that are not finite are quantized to something, without harm") {
    std::vector<float> x(512, std::numeric_limits<float>::quiet_NaN());
    for (size_t i = 256; i < 512; ++i) x[i] = i % 2 ? std::numeric_limits<float>::infinity() : -1.0f;
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if (isa > best_isa()) continue;
        const std::vector<std::byte> row = quantize(isa, ActivationFormat::q8_256, x);
        CHECK(reinterpret_cast<const ActivationBlock256*>(row.data())[1].scale == std::numeric_limits<float>::infinity());
    }
}

}  // namespace quern
