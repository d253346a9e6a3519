// Activations, gates, add and to_f16 against their formulas; the exponential behind them and attention against the library's.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/activation/activation_cpu.h"
#include "kernels/quant/float/f16.h"
#include "kernels/simd/float_math.h"
#include "kernels/simd/float_scalar.h"

using namespace quern;

namespace {

struct Kernels {
    void (*activate)(Activation, float*, int64_t) noexcept;
    void (*gate)(Gating, const float*, const float*, float*, int64_t) noexcept;
    void (*add)(const float*, float*, int64_t) noexcept;
    void (*to_f16)(const float*, uint16_t*, int64_t) noexcept;
};

std::vector<Kernels> kernels_of_this_machine() {
    std::vector<Kernels> kernels{{scalar::activate, scalar::gate, scalar::add, scalar::to_f16}};
    if (best_isa() >= Isa::avx2) kernels.push_back({avx2::activate, avx2::gate, avx2::add, avx2::to_f16});
    if (best_isa() >= Isa::avx512) kernels.push_back({avx512::activate, avx512::gate, avx512::add, avx512::to_f16});
    return kernels;
}

std::vector<float> random_values(size_t n, unsigned seed, float spread) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> values(n);
    for (float& each : values) each = normal(random);
    return values;
}

float float_of(uint32_t bits) {
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

// The nearest half, found by looking at all of them; ties go to the even one.
uint16_t nearest_half(float x) {
    if (std::isnan(x)) return 0x7e00;
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    const double magnitude = std::abs(static_cast<double>(x));
    if (magnitude >= 65520.0) return sign | 0x7c00;
    uint16_t below = 0;
    for (uint16_t step = 0x4000; step != 0; step >>= 1)
        if (below + step < 0x7c00 && static_cast<double>(f16_to_f32(static_cast<uint16_t>(below + step))) <= magnitude) below += step;
    const double gap_below = magnitude - static_cast<double>(f16_to_f32(below));
    const double above = below == 0x7bff ? 65536.0 : static_cast<double>(f16_to_f32(below + 1));
    const double gap_above = above - magnitude;
    const bool up = gap_above < gap_below || (gap_above == gap_below && below % 2 == 1);
    return static_cast<uint16_t>(sign | (below + (up ? 1 : 0)));
}

}  // namespace

TEST_CASE("the exponential is within 1 unit in the last place") {
    double worst = 0;
    for (float x = -87.0f; x <= 88.0f; x += 0.000371f) {
        const double expected = std::exp(static_cast<double>(x));
        int exponent;
        std::frexp(expected, &exponent);
        const double unit = std::ldexp(1.0, exponent - 24);
        worst = std::max(worst, std::abs(static_cast<double>(first(quern::exp(scalar::Float::splat(x)))) - expected) / unit);
    }
    CHECK(worst < 1.0);
    const auto exp_of = [](float x) { return first(quern::exp(scalar::Float::splat(x))); };
    CHECK(exp_of(0.0f) == 1.0f);
    CHECK(exp_of(-87.5f) == 0.0f);
    CHECK(exp_of(-std::numeric_limits<float>::infinity()) == 0.0f);
    CHECK(std::isfinite(exp_of(std::numeric_limits<float>::infinity())));
    CHECK(std::isnan(exp_of(std::nanf(""))));
}

TEST_CASE("swiglu is within 4e-7 of the formula, also in place and at the ends of the range") {
    for (const Kernels& kernels : kernels_of_this_machine())
        for (const size_t n : {0u, 1u, 7u, 16u, 33u, 5000u}) {
            std::vector<float> gate = random_values(n, 1, 8.0f), up = random_values(n, 2, 1.0f);
            if (n > 30) gate[0] = 200.0f, gate[1] = -86.0f, gate[2] = -200.0f, gate[3] = -3e38f, gate[4] = 3e38f, gate[5] = 0.0f;
            std::vector<float> out(n), over_up = up;
            kernels.gate(Gating::silu, gate.data(), up.data(), out.data(), static_cast<int64_t>(n));
            kernels.gate(Gating::silu, gate.data(), over_up.data(), over_up.data(), static_cast<int64_t>(n));
            for (size_t i = 0; i < n; ++i) {
                const double g = gate[i], expected = g / (1 + std::exp(-g)) * static_cast<double>(up[i]);
                if (g > -1000) CHECK(std::abs(static_cast<double>(out[i]) - expected) <= 4e-7 * std::abs(expected) + 1e-34);
                CHECK(std::isfinite(out[i]));
            }
            CHECK(over_up == out);
        }
}

TEST_CASE("a gate that is no number stays none") {
    for (const Kernels& kernels : kernels_of_this_machine()) {
        const std::vector<float> gate(20, std::nanf("")), up(20, 1.0f);
        std::vector<float> out(20);
        kernels.gate(Gating::silu, gate.data(), up.data(), out.data(), 20);
        for (const float each : out) CHECK(std::isnan(each));
    }
}

TEST_CASE("add adds") {
    for (const Kernels& kernels : kernels_of_this_machine())
        for (const size_t n : {0u, 1u, 15u, 16u, 100u}) {
            const std::vector<float> x = random_values(n, 3, 1.0f), before = random_values(n, 4, 1.0f);
            std::vector<float> out = before;
            kernels.add(x.data(), out.data(), static_cast<int64_t>(n));
            for (size_t i = 0; i < n; ++i) CHECK(out[i] == before[i] + x[i]);
        }
}

TEST_CASE("to_f16 gives the nearest half, even on ties, infinity on overflow, and keeps NaN") {
    std::vector<float> values = random_values(3000, 7, 300.0f);
    for (uint32_t half = 0; half < 0x7c00; half += 37)  // halves, and the points between two of them
        for (const float side : {0.0f, 0.5f, 0.49999f, 0.50001f}) {
            const float low = f16_to_f32(static_cast<uint16_t>(half)),
                        high = half == 0x7bff ? 65536.0f : f16_to_f32(static_cast<uint16_t>(half + 1));
            values.push_back(low + (high - low) * side);
            values.push_back(-values.back());
        }
    for (const float each : {65519.0f, 65519.996f, 65520.0f, 1e6f, 3e38f, 1e-8f, 2.98e-8f, 0x1p-25f, 0x1.000002p-25f, -0.0f, 1e-40f,
                             6.1e-5f, 0x1.ffep-15f, 0x1.fffp-15f})
        values.insert(values.end(), {each, -each});
    values.push_back(std::numeric_limits<float>::infinity());
    values.push_back(std::nanf(""));
    values.push_back(float_of(0x7f800001));
    values.push_back(float_of(0xffc12345));
    for (const Kernels& kernels : kernels_of_this_machine()) {
        std::vector<uint16_t> halves(values.size());
        kernels.to_f16(values.data(), halves.data(), static_cast<int64_t>(values.size()));
        for (size_t i = 0; i < values.size(); ++i) {
            CAPTURE(values[i]);
            if (std::isnan(values[i]))
                CHECK((halves[i] & 0x7fff) > 0x7c00);
            else
                CHECK(halves[i] == nearest_half(values[i]));
        }
    }
}

TEST_CASE("to_f16 writes exactly n halves") {
    for (const Kernels& kernels : kernels_of_this_machine())
        for (size_t n = 0; n < 40; ++n) {
            const std::vector<float> x(n, 1.0f);
            std::vector<uint16_t> out(n + 1, 0xabcd);
            kernels.to_f16(x.data(), out.data(), static_cast<int64_t>(n));
            for (size_t i = 0; i < n; ++i) CHECK(out[i] == 0x3c00);
            CHECK(out[n] == 0xabcd);
        }
}

TEST_CASE("activations and gates are within 5e-7 of their formulas, for any length and at the ends of the range") {
    std::vector<float> x = random_values(3001, 21, 4.0f);
    for (const float each : {0.0f, 1e-6f, -1e-6f, 90.0f, -90.0f, 1e6f, -1e6f, 7.0f, 8.0f}) x.push_back(each);
    const std::vector<float> up = random_values(x.size(), 22, 4.0f);
    const auto n = static_cast<int64_t>(x.size());
    const auto close = [](float result, float expected, double scale) {
        return std::abs(static_cast<double>(result) - static_cast<double>(expected)) <=
               5e-7 * (scale + std::abs(static_cast<double>(expected)));
    };
    using Kind = ActivationKind;
    for (const Kernels& kernels : kernels_of_this_machine()) {
        for (const Activation activation : {Activation{}, Activation{Kind::silu}, Activation{Kind::gelu_tanh}, Activation{Kind::gelu},
                                            Activation{Kind::sigmoid}, Activation{Kind::softcap, 2.5f}}) {
            CAPTURE(static_cast<int>(activation.kind));
            std::vector<float> out = x;
            kernels.activate(activation, out.data(), n);
            for (size_t i = 0; i < x.size(); ++i) CHECK(close(out[i], activate_reference(activation, x[i]), 1.0));
        }
        for (const Gating gating : {Gating::silu, Gating::gelu_tanh, Gating::gelu, Gating::clamped_swiglu}) {
            CAPTURE(static_cast<int>(gating));
            std::vector<float> out(x.size());
            kernels.gate(gating, x.data(), up.data(), out.data(), n);
            for (size_t i = 0; i < x.size(); ++i)
                CHECK(close(out[i], gate_reference(gating, x[i], up[i]), std::abs(static_cast<double>(up[i]))));
        }
    }
}

TEST_CASE("what is no number stays none through every activation") {
    for (const Kernels& kernels : kernels_of_this_machine())
        for (const ActivationKind kind :
             {ActivationKind::silu, ActivationKind::gelu_tanh, ActivationKind::gelu, ActivationKind::sigmoid, ActivationKind::softcap}) {
            std::vector<float> x(20, std::nanf(""));
            kernels.activate({kind, 30.0f}, x.data(), 20);
            for (const float each : x) CHECK(std::isnan(each));
        }
}
