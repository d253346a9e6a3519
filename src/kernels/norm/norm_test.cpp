// Norms against their formulas in double.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/norm/norm_cpu.h"

using namespace quern;

namespace {

using NormKernel = void (*)(const float*, const float*, float, int64_t, float*) noexcept;

std::vector<NormKernel> kernels_of_this_machine() {
    std::vector<NormKernel> kernels{scalar::rms_norm};
    if (best_isa() >= Isa::avx2) kernels.push_back(avx2::rms_norm);
    if (best_isa() >= Isa::avx512) kernels.push_back(avx512::rms_norm);
    return kernels;
}

std::vector<float> random_values(size_t n, unsigned seed, float offset) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(offset, 1.0f);
    std::vector<float> values(n);
    for (float& each : values) each = normal(random);
    return values;
}

}  // namespace

TEST_CASE("rms_norm is within 1e-6 of the formula, for any length, also in place") {
    for (const NormKernel kernel : kernels_of_this_machine())
        for (const size_t n : {1u, 3u, 8u, 17u, 63u, 64u, 127u, 576u, 1000u, 4096u, 5001u, 65537u})
            for (const float offset : {0.0f, 100.0f}) {
                const std::vector<float> x = random_values(n, 5, offset), weight = random_values(n, 6, 1.0f);
                double sum = 0;
                for (const float each : x) sum += static_cast<double>(each) * static_cast<double>(each);
                const double scale = 1 / std::sqrt(sum / static_cast<double>(n) + 1e-5);
                std::vector<float> out(n), in_place = x;
                kernel(x.data(), weight.data(), 1e-5f, static_cast<int64_t>(n), out.data());
                kernel(in_place.data(), weight.data(), 1e-5f, static_cast<int64_t>(n), in_place.data());
                double worst = 0;
                for (size_t i = 0; i < n; ++i) {
                    const double expected = static_cast<double>(x[i]) * scale * static_cast<double>(weight[i]);
                    worst = std::max(worst, std::abs(static_cast<double>(out[i]) - expected) / (1e-30 + std::abs(expected)));
                }
                CHECK(worst < 1e-6);
                CHECK(in_place == out);
            }
}

TEST_CASE("rms_norm of zeros is zeros") {
    for (const NormKernel kernel : kernels_of_this_machine()) {
        std::vector<float> x(100), weight(100, 2.0f);
        kernel(x.data(), weight.data(), 1e-6f, 100, x.data());
        CHECK(x == std::vector<float>(100));
    }
}

TEST_CASE("layer_norm is within 2e-6 of the formula, for any length, with an offset, also in place and without a bias") {
    using LayerNormKernel = void (*)(const float*, const float*, const float*, NormSize, float*) noexcept;
    std::vector<LayerNormKernel> kernels{scalar::layer_norm};
    if (best_isa() >= Isa::avx2) kernels.push_back(avx2::layer_norm);
    if (best_isa() >= Isa::avx512) kernels.push_back(avx512::layer_norm);
    for (const LayerNormKernel kernel : kernels)
        for (const size_t n : {2u, 3u, 8u, 17u, 63u, 64u, 127u, 576u, 1000u, 5001u})
            for (const float offset : {0.0f, 30.0f})
                for (const bool has_bias : {true, false}) {
                    std::vector<float> x = random_values(n, 5, offset);
                    const std::vector<float> weight = random_values(n, 6, 1.0f), bias = random_values(n, 7, 0.0f);
                    double mean = 0, variance = 0;
                    for (const float each : x) mean += static_cast<double>(each) / static_cast<double>(n);
                    for (const float each : x) variance += std::pow(static_cast<double>(each) - mean, 2) / static_cast<double>(n);
                    std::vector<double> expected(n);
                    for (size_t i = 0; i < n; ++i)
                        expected[i] = (static_cast<double>(x[i]) - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(weight[i]) +
                                      (has_bias ? static_cast<double>(bias[i]) : 0.0);
                    std::vector<float> out(n);
                    const NormSize size{static_cast<int64_t>(n), 1e-5f};
                    kernel(x.data(), weight.data(), has_bias ? bias.data() : nullptr, size, out.data());
                    kernel(x.data(), weight.data(), has_bias ? bias.data() : nullptr, size, x.data());
                    CHECK(x == out);
                    for (size_t i = 0; i < n; ++i) {
                        CAPTURE(n);
                        CHECK(std::abs(static_cast<double>(out[i]) - expected[i]) < 2e-6 * (offset == 0.0f ? 3.0 : 10.0));
                    }
                }
}
