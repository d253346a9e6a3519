// Frequencies against transformers' own (scripts/make_golden_rope.py), rotations against the formula in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

#include "base/cpu_features.h"
#include "kernels/rope/rope_cpu.h"

using namespace quern;

namespace {

struct GoldenCase {
    RopeConfig config;
    std::vector<float> factors, inverse;
    float magnitude = 0;
};

std::vector<float> read_numbers(std::istream& file) {
    std::string line;
    std::getline(file, line);
    std::istringstream text(line);
    std::vector<float> numbers;
    for (float each; text >> each;) numbers.push_back(each);
    return numbers;
}

std::vector<GoldenCase> read_golden_cases() {
    std::ifstream file(QUERN_TEST_DATA "/rope.txt");
    std::vector<GoldenCase> cases;
    for (std::string line; std::getline(file, line);) {
        std::istringstream text(line);
        GoldenCase golden;
        RopeConfig& config = golden.config;
        std::string scaling;
        text >> scaling >> config.n_dims >> config.base >> config.factor >> config.yarn_beta_fast >> config.yarn_beta_slow;
        text >> config.yarn_attn_factor >> config.original_context >> golden.magnitude;
        config.scaling = scaling == "yarn" ? RopeScaling::yarn : scaling == "linear" ? RopeScaling::linear : RopeScaling::none;
        golden.factors = read_numbers(file);
        golden.inverse = read_numbers(file);
        cases.push_back(golden);
    }
    return cases;
}

std::vector<RopeKernel> kernels_of_this_machine() {
    std::vector<RopeKernel> kernels{scalar::rope};
    if (best_isa() >= Isa::avx2) kernels.push_back(avx2::rope);
    if (best_isa() >= Isa::avx512) kernels.push_back(avx512::rope);
    return kernels;
}

std::vector<double> turned(const std::vector<float>& head, const std::vector<float>& angles, int n_dims, RopeStyle style) {
    std::vector<double> out(head.begin(), head.end());
    for (int i = 0; i < n_dims / 2; ++i) {
        const auto x = static_cast<size_t>(style == RopeStyle::adjacent ? 2 * i : i);
        const auto y = static_cast<size_t>(style == RopeStyle::adjacent ? 2 * i + 1 : i + n_dims / 2);
        const double cos = angles[static_cast<size_t>(2 * i)], sin = angles[static_cast<size_t>(2 * i + 1)];
        out[x] = head[x] * cos - head[y] * sin;
        out[y] = head[x] * sin + head[y] * cos;
    }
    return out;
}

void check_rotation(RopeKernel kernel, int head_dim, int n_dims, RopeStyle style) {
    constexpr int n_heads = 3;
    std::mt19937 random(static_cast<unsigned>(head_dim * 1000 + n_dims));
    std::normal_distribution<float> normal;
    std::vector<float> heads(static_cast<size_t>(n_heads * head_dim)), angles(static_cast<size_t>(n_dims));
    for (float& each : heads) each = normal(random);
    rope_angles(rope_frequencies({.style = style, .n_dims = n_dims}, {}), 12345, angles.data());
    std::vector<float> result = heads;
    kernel(result.data(), n_heads, head_dim, angles.data(), n_dims, style);
    for (size_t h = 0; h < n_heads; ++h) {
        const auto begin = heads.begin() + static_cast<std::ptrdiff_t>(h * static_cast<size_t>(head_dim));
        const std::vector<double> expected = turned({begin, begin + head_dim}, angles, n_dims, style);
        for (size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(result[h * expected.size() + i] - expected[i]) < 6e-7);
    }
}

}  // namespace

TEST_CASE("frequencies are those that transformers computes: linear, YaRN, Llama 3") {
    const std::vector<GoldenCase> cases = read_golden_cases();
    REQUIRE(cases.size() == 8);
    for (const GoldenCase& golden : cases) {
        CAPTURE(golden.config.n_dims);
        const RopeFrequencies result = rope_frequencies(golden.config, golden.factors);
        CHECK(result.magnitude == doctest::Approx(golden.magnitude).epsilon(1e-6));
        REQUIRE(result.inverse.size() == golden.inverse.size());
        for (size_t i = 0; i < golden.inverse.size(); ++i)
            CHECK(std::abs(result.inverse[i] - golden.inverse[i]) < 2e-6f * golden.inverse[i]);  // the original computes in f32
    }
}

TEST_CASE("YaRN without its ramp is linear, and without growth keeps the magnitude") {
    const RopeConfig yarn{.scaling = RopeScaling::yarn,
                          .n_dims = 32,
                          .factor = 8.0f,
                          .yarn_ext_factor = 0.0f,
                          .yarn_attn_factor = 0.5f,
                          .original_context = 2048};
    const RopeFrequencies result = rope_frequencies(yarn, {});
    CHECK(result.inverse == rope_frequencies({.scaling = RopeScaling::linear, .n_dims = 32, .factor = 8.0f}, {}).inverse);
    CHECK(result.magnitude == 0.5f);
}

TEST_CASE("frequency factors divide, one per pair, and missing ones change nothing") {
    const RopeConfig plain{.n_dims = 8};
    const std::vector<float> factors{2.0f, 4.0f};
    const RopeFrequencies with = rope_frequencies(plain, factors), without = rope_frequencies(plain, {});
    CHECK(with.inverse[0] == without.inverse[0] / 2);
    CHECK(with.inverse[1] == without.inverse[1] / 4);
    CHECK(with.inverse[2] == without.inverse[2]);
}

TEST_CASE("absurd settings give numbers of no use, but no crash") {
    for (const float bad : {0.0f, -1.0f, 1.0f, 3e38f, std::nanf("")}) {
        const RopeConfig config{
            .scaling = RopeScaling::yarn, .n_dims = 6, .base = bad, .factor = bad, .yarn_beta_fast = bad, .yarn_beta_slow = bad};
        const RopeFrequencies result = rope_frequencies(config, std::vector<float>{bad});
        std::vector<float> angles(6);
        rope_angles(result, 1 << 30, angles.data());
        CHECK(result.inverse.size() == 3);
    }
}

TEST_CASE("angles stay exact far into a context") {
    const RopeFrequencies frequencies{.inverse = {1.0f, 0.0625f}, .magnitude = 2.0f};
    float angles[4];
    rope_angles(frequencies, 1'000'003, angles);
    CHECK(angles[0] == static_cast<float>(2 * std::cos(1'000'003.0)));
    CHECK(angles[1] == static_cast<float>(2 * std::sin(1'000'003.0)));
    CHECK(angles[3] == static_cast<float>(2 * std::sin(1'000'003.0 / 16)));
}

TEST_CASE("heads turn by the formula within 6e-7, in both styles, and what lies beyond n_dims stays") {
    for (const RopeKernel kernel : kernels_of_this_machine())
        for (const RopeStyle style : {RopeStyle::adjacent, RopeStyle::halves})
            for (const int head_dim : {8, 16, 48, 64, 80, 96, 128, 256})
                for (const int n_dims : {2, 6, head_dim / 2, head_dim - 2, head_dim}) check_rotation(kernel, head_dim, n_dims, style);
}
