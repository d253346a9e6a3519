// Encoders of the K formats: the same bytes on every instruction set, and sensible ones for strange input.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/quant/decode.h"
#include "kernels/quant/encode.h"
#include "kernels/quant/k/encoders.h"

namespace quern {
namespace {

constexpr int64_t n_values = 4096;

/// Gaussian blocks, then some of one value, of zeros, tiny, huge, and with one outlier.
std::vector<float> sample() {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> x(n_values);
    for (float& v : x) v = normal(random);
    for (size_t i = 0; i < 256; ++i) {
        x[1024 + i] = 0.25f;
        x[1280 + i] = 0.0f;
        x[1536 + i] *= 1e-39f;
        x[1792 + i] *= 1e37f;
        x[2048 + i] = i == 77 ? 100.0f : x[2048 + i] * 1e-3f;
        x[2304 + i] = std::abs(x[2304 + i]);
    }
    return x;
}

std::vector<std::byte> encode(EncodeKernel kernel, DType dtype, const std::vector<float>& x, const float* importance) {
    std::vector<std::byte> out(static_cast<size_t>(row_bytes(dtype, x.size())));
    kernel(x.data(), importance, static_cast<int64_t>(x.size()), out.data());
    return out;
}

}  // namespace

TEST_CASE("K encoders give the same bytes on AVX2 as on plain C++") {
    if (best_isa() < Isa::avx2) return;
    const std::vector<float> x = sample();
    std::vector<float> importance(x.size());
    for (size_t i = 0; i < importance.size(); ++i) importance[i] = static_cast<float>(i % 7);
    for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(importance.data())}) {
        CHECK(encode(scalar::encode_q2_k, DType::q2_k, x, weights) == encode(avx2::encode_q2_k, DType::q2_k, x, weights));
        CHECK(encode(scalar::encode_q4_k, DType::q4_k, x, weights) == encode(avx2::encode_q4_k, DType::q4_k, x, weights));
        CHECK(encode(scalar::encode_q5_k, DType::q5_k, x, weights) == encode(avx2::encode_q5_k, DType::q5_k, x, weights));
    }
}

TEST_CASE("whatever is encoded decodes to finite values near it") {
    const std::vector<float> x = sample();
    const std::pair<DType, double> bounds[] = {{DType::q8_0, 0.006}, {DType::q6_k, 0.018}, {DType::q5_k, 0.035}, {DType::q5_1, 0.04},
                                               {DType::q5_0, 0.05},  {DType::q4_k, 0.075}, {DType::q4_1, 0.08},  {DType::q4_0, 0.09},
                                               {DType::q3_k, 0.16},  {DType::q2_k, 0.29}};
    for (const auto& [dtype, bound] : bounds) {
        CAPTURE(dtype_name(dtype));
        const std::vector<std::byte> blocks = encode(encode_for(dtype), dtype, x, nullptr);
        std::vector<float> back(x.size());
        decode_for(dtype)(blocks.data(), back.data(), n_values);
        double error = 0, power = 0;
        for (size_t i = 0; i < x.size(); ++i) {
            CHECK(std::isfinite(back[i]));
            if (i >= 1024 && i < 2560) continue;
            error += static_cast<double>((x[i] - back[i]) * (x[i] - back[i]));
            power += static_cast<double>(x[i] * x[i]);
        }
        CHECK(std::sqrt(error / power) < bound);
        for (size_t i = 1280; i < 1792; ++i) CHECK(std::abs(back[i]) < 1e-6f);          // zeros and what is as good as zero
        for (size_t i = 1024; i < 1280; ++i) CHECK(std::abs(back[i] - 0.25f) < 0.02f);  // one value
    }
}

}  // namespace quern
