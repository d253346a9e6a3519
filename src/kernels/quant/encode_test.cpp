// The encoders of all quantized formats: their error, the same bytes on every instruction set, and input at the ends of the range.
#include "kernels/quant/encode.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/quant/decode.h"
#include "kernels/quant/encode_test.h"

namespace quern {
namespace {

struct Bounds {
    DType dtype;
    double largest_error;           ///< relative, of normally distributed values; at most that of llama.cpp's encoder, measured
    double largest_weighted_error;  ///< with importances
};

const Bounds bounds[] = {
    {DType::q8_0, 0.006, 0.005},   {DType::q6_k, 0.018, 0.016},  {DType::q5_k, 0.035, 0.03},     {DType::q5_1, 0.04, 0.036},
    {DType::q5_0, 0.05, 0.043},    {DType::q4_k, 0.075, 0.062},  {DType::q4_1, 0.08, 0.07},      {DType::q4_0, 0.09, 0.085},
    {DType::q3_k, 0.16, 0.135},    {DType::q2_k, 0.29, 0.24},    {DType::iq4_nl, 0.0745, 0.066}, {DType::iq4_xs, 0.075, 0.066},
    {DType::mxfp4, 0.113, 0.113},  {DType::tq1_0, 0.445, 0.445}, {DType::tq2_0, 0.445, 0.445},   {DType::iq3_s, 0.132, 0.105},
    {DType::iq3_xxs, 0.181, 0.13}, {DType::iq2_s, 0.243, 0.2},   {DType::iq2_xs, 0.292, 0.225},  {DType::iq2_xxs, 0.335, 0.26},
    {DType::iq1_s, 0.456, 0.4},    {DType::iq1_m, 0.424, 0.34},
};

std::vector<float> round_trip(DType dtype, const std::vector<float>& x, const float* importance) {
    std::vector<float> out(x.size());
    decode_for(dtype)(encoded(dtype, best_isa(), x, importance).data(), out.data(), static_cast<int64_t>(out.size()));
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

bool all_finite(const std::vector<float>& values) {
    for (const float value : values)
        if (!std::isfinite(value)) return false;
    return true;
}

/// Blocks of one value, of zeros, tiny, huge, of one sign, with one outlier, and of values that are no numbers.
std::vector<float> strange_values() {
    std::vector<float> x = sample_values(7, 13 * 256);
    for (size_t i = 0; i < 256; ++i) {
        x[256 + i] = 0.25f;
        x[512 + i] = 0.0f;
        x[768 + i] *= 1e-39f;
        x[1024 + i] *= 1e37f;
        x[1280 + i] = i == 77 ? 100.0f : x[1280 + i] * 1e-3f;
        x[1536 + i] = std::abs(x[1536 + i]);
        x[1792 + i] = i % 2 == 0 ? std::numeric_limits<float>::max() : -std::numeric_limits<float>::max();
        if (i % 5 == 0) x[2048 + i] = std::numeric_limits<float>::quiet_NaN();
        if (i % 7 == 0) x[2304 + i] = i % 2 == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
        x[2560 + i] = std::numeric_limits<float>::quiet_NaN();
        x[2816 + i] = std::numeric_limits<float>::denorm_min() * static_cast<float>(i);
        if (i < 32) x[3072 + i] = 0.0f;
    }
    return x;
}

}  // namespace

TEST_CASE("encoders err little, and less where it matters") {
    const std::vector<float> x = sample_values(1, n_sample), importance = sample_importance();
    for (const auto& [dtype, largest_error, largest_weighted_error] : bounds) {
        CAPTURE(dtype_name(dtype));
        const std::vector<float> plain = round_trip(dtype, x, nullptr), weighted = round_trip(dtype, x, importance.data());
        CHECK(relative_error(x, plain, nullptr) < largest_error);
        CHECK(relative_error(x, weighted, importance.data()) < largest_weighted_error);
        CHECK(relative_error(x, weighted, importance.data()) < relative_error(x, plain, importance.data()));
    }
}

TEST_CASE("encoders give the same bytes on every instruction set, for strange values and importances too") {
    const std::vector<float> usual = sample_values(5, 5 * 256), strange = strange_values();
    std::vector<float> importance = sample_importance(), broken = importance;
    broken[3] = std::numeric_limits<float>::quiet_NaN();
    broken[300] = std::numeric_limits<float>::infinity();
    broken[600] = -1.0f;
    for (size_t i = 0; i < 32; ++i) broken[900 + i] = 0.0f;
    for (const DType dtype : encoded_formats)
        for (const std::vector<float>* x : {&usual, &strange})
            for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(importance.data()),
                                         static_cast<const float*>(broken.data())}) {
                CAPTURE(dtype_name(dtype));
                const std::vector<std::byte> expected = encoded(dtype, Isa::scalar, *x, weights);
                for (const Isa isa : {Isa::avx2, Isa::avx512})
                    if (isa <= best_isa()) CHECK(encoded(dtype, isa, *x, weights) == expected);
                std::vector<float> back(x->size());
                decode_for(dtype)(expected.data(), back.data(), static_cast<int64_t>(back.size()));
                CHECK(all_finite(back));
            }
}

TEST_CASE("a block is encoded alike wherever in a row it stands") {
    const std::vector<float> x = sample_values(11, 7 * 256);
    for (const DType dtype : encoded_formats) {
        CAPTURE(dtype_name(dtype));
        const std::vector<std::byte> all = encoded(dtype, best_isa(), x, nullptr);
        const size_t step = dtype_info(dtype).block_size, block = all.size() / (x.size() / step);
        for (size_t i = 0; i < x.size(); i += step) {
            const std::vector<std::byte> alone =
                encoded(dtype, best_isa(), {x.begin() + static_cast<ptrdiff_t>(i), x.begin() + static_cast<ptrdiff_t>(i + step)}, nullptr);
            CHECK(std::equal(alone.begin(), alone.end(), all.begin() + static_cast<ptrdiff_t>(i / step * block)));
        }
    }
}

TEST_CASE("only the ratios of importances count, and where all are zero they are as good as none") {
    const std::vector<float> x = sample_values(3, n_sample), zeros(x.size());
    std::vector<float> importance = sample_importance(), scaled = importance;
    for (float& value : scaled) value *= 0x1p60f;
    for (const DType dtype : encoded_formats) {
        CAPTURE(dtype_name(dtype));
        CHECK(encoded(dtype, best_isa(), x, scaled.data()) == encoded(dtype, best_isa(), x, importance.data()));
        CHECK(encoded(dtype, best_isa(), x, zeros.data()) == encoded(dtype, best_isa(), x, nullptr));
    }
}

TEST_CASE("what a format can hold comes back exactly") {
    for (const DType dtype : {DType::iq4_nl, DType::mxfp4, DType::tq1_0, DType::tq2_0}) {
        CAPTURE(dtype_name(dtype));
        const bool ternary = dtype_info(dtype).block_size == 256;
        std::vector<float> x(512);
        for (size_t i = 0; i < x.size(); ++i) {
            const int levels[] = {-127, -22, 1, 38, 69, 113, -65, 13}, fp4[] = {12, -6, 3, 0, -1, 8, 2, -12};
            const int level = dtype == DType::iq4_nl ? levels[i * i % 61 % 8] : ternary ? static_cast<int>(i * i % 61 % 3) - 1 : fp4[i % 8];
            x[i] = static_cast<float>(level) * 0x1.8p-9f * (ternary || dtype == DType::iq4_nl ? 1.0f : 0x1p9f / 1.5f);
        }
        CHECK(round_trip(dtype, x, nullptr) == x);
    }
}

TEST_CASE("encoders take zeros, the largest, the smallest and lone values without harm") {
    for (const DType dtype : encoded_formats) {
        CAPTURE(dtype_name(dtype));
        for (const float y : round_trip(dtype, std::vector<float>(512), nullptr)) CHECK(y == 0.0f);
        for (const float scale : {std::numeric_limits<float>::max(), 1e30f, 1e6f, 1e-6f, 1e-12f, 1e-30f, 1e-42f}) {
            CAPTURE(scale);
            std::vector<float> same(256, scale), lone(256), mixed(256);
            lone[37] = -scale;
            for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = i % 3 == 0 ? scale : i % 3 == 1 ? -1e-3f : 0.0f;
            for (const auto& x : {same, lone, mixed}) CHECK(all_finite(round_trip(dtype, x, nullptr)));
            for (const auto& x : {same, lone, mixed}) CHECK(all_finite(round_trip(dtype, x, same.data())));
        }
        for (const float y : round_trip(dtype, std::vector<float>(256, 0.25f), nullptr)) CHECK(std::abs(y - 0.25f) < 0.04f);
    }
}

TEST_CASE("a group of zeros beside others stays near zero") {
    for (const DType dtype : encoded_formats) {
        CAPTURE(dtype_name(dtype));
        std::vector<float> x = sample_values(4, 256);
        for (size_t i = 64; i < 96; ++i) x[i] = 0.0f;
        const std::vector<float> y = round_trip(dtype, x, nullptr);
        for (size_t i = 64; i < 96; ++i) CHECK(std::abs(y[i]) < 0.1f);
    }
}

}  // namespace quern
