// Quantized activations: their rule, and that every instruction set writes the same bytes.
#include "kernels/matmul/activations.h"

#include <doctest/doctest.h>

#include <algorithm>
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
    cpu_kernels(isa).quantize(format)(x.data(), out.data(), n);
    return out;
}

}  // namespace

TEST_CASE("a quantized value is off by at most half a step, or one where its lower byte is at the end, and sums are those of the planes") {
    const std::vector<float> x = sample(2048);
    const std::vector<std::byte> row32 = quantize(Isa::scalar, ActivationFormat::i16_32, x);
    const std::vector<std::byte> row256 = quantize(Isa::scalar, ActivationFormat::i16_256, x);
    const auto is_close = [](float value, float scale, int q, int low) {
        return std::abs(value - scale * static_cast<float>(q)) <= (low == -127 ? 1.6f : 0.6f) * scale + 1e-33f;
    };
    for (size_t i = 0; i < x.size(); ++i) {
        const auto& b32 = reinterpret_cast<const ActivationBlock32*>(row32.data())[i / 32];
        const auto& b256 = reinterpret_cast<const ActivationBlock256*>(row256.data())[i / 256];
        const auto at32 = static_cast<int64_t>(i % 32), at256 = static_cast<int64_t>(i % 256);
        CHECK(is_close(x[i], b32.scale, b32.q(at32), b32.low[at32]));
        CHECK(is_close(x[i], b256.scale, b256.q(at256), b256.low[at256]));
        CHECK(std::min({b32.high[at32], b32.low[at32], b256.high[at256], b256.low[at256]}) >= -127);
        if (i % 32 == 0) {
            int sum = 0;
            for (int64_t j = 0; j < 32; ++j) sum += b32.q(j);
            CHECK(b32.q_sum == sum);
            CHECK(b32.sum == b32.scale * static_cast<float>(sum));
        }
        if (i % 16 == 0) {
            int high = 0, low = 0;
            for (int64_t j = 0; j < 16; ++j) {
                high += b256.high[at256 + j];
                low += b256.low[at256 + j];
            }
            CHECK(b256.high_sums[at256 / 16] == high);
            CHECK(b256.low_sums[at256 / 16] == low);
        }
        if (i % 32 == 0) {
            const auto g = static_cast<size_t>(at256 / 16);
            const auto at = static_cast<size_t>(ActivationBlock256::sum_32_of(static_cast<int>(at256 / 32)));
            CHECK(b256.high_sums_32[at] == b256.high_sums[g] + b256.high_sums[g + 1]);
            CHECK(b256.low_sums_32[at] == b256.low_sums[g] + b256.low_sums[g + 1]);
        }
    }
}

TEST_CASE("bf16 rounds to the nearest, ties to even, and keeps what is not a number") {
    const std::vector<float> x{1.0f,         1.00390625f, 1.01171875f, -1.00390625f, 1.00390637f, std::numeric_limits<float>::infinity(),
                               std::nanf("")};
    const std::vector<std::byte> row = quantize(Isa::scalar, ActivationFormat::bf16, x);
    const uint16_t expected[] = {0x3f80, 0x3f80, 0x3f82, 0xbf80, 0x3f81, 0x7f80};
    for (size_t i = 0; i < 6; ++i) CHECK(reinterpret_cast<const uint16_t*>(row.data())[i] == expected[i]);
    CHECK((reinterpret_cast<const uint16_t*>(row.data())[6] & 0x7fff) > 0x7f80);
}

TEST_CASE("every instruction set quantizes to the same bytes") {
    const std::vector<float> x = sample(2048);
    for (const ActivationFormat format :
         {ActivationFormat::f32, ActivationFormat::bf16, ActivationFormat::i16_32, ActivationFormat::i16_256})
        for (const Isa isa : {Isa::avx2, Isa::avx512})
            if (isa <= best_isa()) CHECK(quantize(isa, format, x) == quantize(Isa::scalar, format, x));
}

TEST_CASE("activations that are not finite are quantized to something, without harm") {
    std::vector<float> x(512, std::numeric_limits<float>::quiet_NaN());
    for (size_t i = 256; i < 512; ++i) x[i] = i % 2 ? std::numeric_limits<float>::infinity() : -1.0f;
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if (isa > best_isa()) continue;
        const std::vector<std::byte> row = quantize(isa, ActivationFormat::i16_256, x);
        CHECK(reinterpret_cast<const ActivationBlock256*>(row.data())[1].scale == std::numeric_limits<float>::infinity());
    }
}

}  // namespace quern
