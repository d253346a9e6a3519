// The encoders of the IQ, ternary and MXFP4 formats: their error, their bytes, and input at the ends of the range.
#include "kernels/quant/i/encoders.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/quant/decode.h"
#include "kernels/quant/float/f16.h"

namespace quern {
namespace {

using Encode = void (*)(const float*, const float*, int64_t, std::byte*) noexcept;

struct Encoder {
    DType dtype;
    Encode encode;
    double largest_error;           ///< relative, of normally distributed values; at most that of llama.cpp's encoder, measured
    double largest_weighted_error;  ///< with importances
    uint64_t hash;                  ///< of the bytes for sample_values(), with and without sample_importance()
};

const Encoder encoders[] = {
    {DType::iq4_nl, encode_iq4_nl, 0.0745, 0.066, 0x2fd4672557e9deaa}, {DType::iq4_xs, encode_iq4_xs, 0.075, 0.066, 0xef54fc4e41ab4b39},
    {DType::mxfp4, encode_mxfp4, 0.113, 0.113, 0xc9f452677e66ef49},    {DType::tq1_0, encode_tq1_0, 0.445, 0.445, 0x2b0cfb674b01d24f},
    {DType::tq2_0, encode_tq2_0, 0.445, 0.445, 0x608457d12e0ed6f8},    {DType::iq3_s, encode_iq3_s, 0.132, 0.105, 0x691b45ccf34944e3},
    {DType::iq3_xxs, encode_iq3_xxs, 0.181, 0.13, 0xbfae01ade9fd854c}, {DType::iq2_s, encode_iq2_s, 0.243, 0.2, 0x1679cab4c9c17aeb},
    {DType::iq2_xs, encode_iq2_xs, 0.292, 0.225, 0x81a44801ac3e3fca},  {DType::iq2_xxs, encode_iq2_xxs, 0.335, 0.26, 0x1017fa16bc6dae7d},
    {DType::iq1_s, encode_iq1_s, 0.456, 0.4, 0xc45d0cee1bafbc01},      {DType::iq1_m, encode_iq1_m, 0.424, 0.34, 0x1d25f074778c764e},
};

constexpr int64_t n_sample = 64 * 256;

/// Close to normally distributed: sums of twelve even ones. Integers only, so that every machine has the same.
std::vector<float> sample_values(uint32_t seed) {
    std::vector<float> out(n_sample);
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

/// Weights of 1/16 to 16 around 1: some inputs matter far more than others.
std::vector<float> sample_importance() {
    std::vector<float> out = sample_values(99);
    for (float& value : out) value = (0.01f + value * value * 64.0f) * (0.01f + value * value * 64.0f);
    return out;
}

std::vector<std::byte> encoded(const Encoder& encoder, const std::vector<float>& x, const float* importance) {
    std::vector<std::byte> out(row_bytes(encoder.dtype, x.size()));
    encoder.encode(x.data(), importance, static_cast<int64_t>(x.size()), out.data());
    return out;
}

std::vector<float> round_trip(const Encoder& encoder, const std::vector<float>& x, const float* importance) {
    std::vector<float> out(x.size());
    decode_for(encoder.dtype)(encoded(encoder, x, importance).data(), out.data(), static_cast<int64_t>(out.size()));
    return out;
}

/// sqrt(sum w (x - y)^2 / sum w x^2)
double relative_error(const std::vector<float>& x, const std::vector<float>& y, const float* importance) {
    double error = 0, all = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        const double w = importance != nullptr ? static_cast<double>(importance[i]) : 1.0;
        const double difference = static_cast<double>(x[i]) - static_cast<double>(y[i]);
        error += w * difference * difference;
        all += w * static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    return std::sqrt(error / all);
}

/// FNV-1a.
uint64_t hash(const std::vector<std::byte>& bytes, uint64_t from) {
    for (const std::byte byte : bytes) from = (from ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
    return from;
}

bool all_finite(const std::vector<float>& values) {
    for (const float value : values)
        if (!std::isfinite(value)) return false;
    return true;
}

}  // namespace

TEST_CASE("encoders of the IQ, ternary and MXFP4 formats err little, and less where it matters") {
    const std::vector<float> x = sample_values(1), importance = sample_importance();
    for (const Encoder& encoder : encoders) {
        CAPTURE(dtype_name(encoder.dtype));
        const std::vector<float> plain = round_trip(encoder, x, nullptr), weighted = round_trip(encoder, x, importance.data());
        CHECK(relative_error(x, plain, nullptr) < encoder.largest_error);
        CHECK(relative_error(x, weighted, importance.data()) < encoder.largest_weighted_error);
        CHECK(relative_error(x, weighted, importance.data()) < relative_error(x, plain, importance.data()));
    }
}

TEST_CASE("encoders of the IQ, ternary and MXFP4 formats write the same bytes on every machine") {
    const std::vector<float> x = sample_values(2), importance = sample_importance();
    for (const Encoder& encoder : encoders) {
        CAPTURE(dtype_name(encoder.dtype));
        const uint64_t plain = hash(encoded(encoder, x, nullptr), 0xcbf29ce484222325u);
        CHECK(hash(encoded(encoder, x, importance.data()), plain) == encoder.hash);
    }
}

TEST_CASE("only the ratios of importances count, and where all are zero they are as good as none") {
    const std::vector<float> x = sample_values(3), zeros(x.size());
    std::vector<float> importance = sample_importance(), scaled = importance;
    for (float& value : scaled) value *= 0x1p60f;
    for (const Encoder& encoder : encoders) {
        CAPTURE(dtype_name(encoder.dtype));
        CHECK(encoded(encoder, x, scaled.data()) == encoded(encoder, x, importance.data()));
        CHECK(encoded(encoder, x, zeros.data()) == encoded(encoder, x, nullptr));
    }
}

TEST_CASE("what a format can hold comes back exactly") {
    for (const Encoder& encoder : encoders) {
        if (encoder.dtype != DType::iq4_nl && encoder.dtype != DType::mxfp4 && encoder.dtype != DType::tq1_0 &&
            encoder.dtype != DType::tq2_0)
            continue;
        CAPTURE(dtype_name(encoder.dtype));
        const bool ternary = dtype_info(encoder.dtype).block_size == 256;
        std::vector<float> x(512);
        for (size_t i = 0; i < x.size(); ++i) {
            const int levels[] = {-127, -22, 1, 38, 69, 113, -65, 13}, fp4[] = {12, -6, 3, 0, -1, 8, 2, -12};
            const int level = encoder.dtype == DType::iq4_nl ? levels[i * i % 61 % 8]
                              : ternary                      ? static_cast<int>(i * i % 61 % 3) - 1
                                                             : fp4[i % 8];
            x[i] = static_cast<float>(level) * 0x1.8p-9f * (ternary || encoder.dtype == DType::iq4_nl ? 1.0f : 0x1p9f / 1.5f);
        }
        CHECK(round_trip(encoder, x, nullptr) == x);
    }
}

TEST_CASE("encoders take zeros, the largest, the smallest and lone values without harm") {
    for (const Encoder& encoder : encoders) {
        CAPTURE(dtype_name(encoder.dtype));
        for (const float y : round_trip(encoder, std::vector<float>(512), nullptr)) CHECK(y == 0.0f);
        for (const float scale : {std::numeric_limits<float>::max(), 1e30f, 1e6f, 1e-6f, 1e-12f, 1e-30f, 1e-42f}) {
            CAPTURE(scale);
            std::vector<float> same(256, scale), lone(256), mixed(256);
            lone[37] = -scale;
            for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = i % 3 == 0 ? scale : i % 3 == 1 ? -1e-3f : 0.0f;
            for (const auto& x : {same, lone, mixed}) CHECK(all_finite(round_trip(encoder, x, nullptr)));
            for (const auto& x : {same, lone, mixed}) CHECK(all_finite(round_trip(encoder, x, same.data())));
        }
    }
}

TEST_CASE("a group of zeros beside others stays near zero") {
    for (const Encoder& encoder : encoders) {
        CAPTURE(dtype_name(encoder.dtype));
        std::vector<float> x = sample_values(4);
        x.resize(256);
        for (size_t i = 64; i < 96; ++i) x[i] = 0.0f;
        const std::vector<float> y = round_trip(encoder, x, nullptr);
        for (size_t i = 64; i < 96; ++i) CHECK(std::abs(y[i]) < 0.1f);
    }
}

}  // namespace quern
