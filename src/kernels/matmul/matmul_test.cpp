// Every matmul kernel that this machine can run, against the reference in double.
#include "kernels/matmul/matmul.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/cpu_kernels.h"
#include "kernels/matmul/sample_weights_test.h"

namespace quern {
namespace {

std::vector<Isa> runnable() {
    std::vector<Isa> out;
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512})
        if (isa <= best_isa()) out.push_back(isa);
    return out;
}

struct Case {
    int64_t n_rows, n_tokens, n_in;
};

/// The operands of one multiplication. The rows of both have room between them, as in a larger matrix.
struct Operands {
    std::vector<std::byte> weights, activations;
    MatmulTask task;
};

Operands make_operands(DType dtype, ActivationFormat format, const Case& c, std::mt19937& random) {
    Operands out;
    const auto weight_bytes = static_cast<int64_t>(row_bytes(dtype, static_cast<uint64_t>(c.n_in)));
    out.weights = sample_weights(dtype, c.n_rows * c.n_in, random);
    const int64_t x_bytes = activation_row_bytes(format, c.n_in) + 64;
    out.activations.resize(static_cast<size_t>(c.n_tokens * x_bytes));
    std::normal_distribution<float> normal(0.3f, 2.0f);
    std::vector<float> x(static_cast<size_t>(c.n_in));
    for (int64_t t = 0; t < c.n_tokens; ++t) {
        for (float& value : x) value = normal(random);
        cpu_kernels(Isa::scalar).quantize(format)(x.data(), out.activations.data() + t * x_bytes, c.n_in);
    }
    out.task = {.weights = out.weights.data(),
                .weight_row_bytes = weight_bytes,
                .n_rows = c.n_rows,
                .activations = out.activations.data(),
                .activation_row_bytes = x_bytes,
                .n_tokens = c.n_tokens,
                .n_in = c.n_in};
    return out;
}

/// sum over i of |x[t, i] * w[r, i]|: what rounding errors are relative to.
std::vector<double> magnitudes(DType dtype, ActivationFormat format, const MatmulTask& task) {
    std::vector<double> out(static_cast<size_t>(task.n_tokens * task.n_rows));
    std::vector<float> w(static_cast<size_t>(task.n_in));
    std::vector<double> x(w.size());
    for (int64_t r = 0; r < task.n_rows; ++r) {
        cpu_kernels(Isa::scalar).decode(dtype)(task.weights + r * task.weight_row_bytes, w.data(), task.n_in);
        for (int64_t t = 0; t < task.n_tokens; ++t) {
            decode_activations(format, task.activations + t * task.activation_row_bytes, task.n_in, x.data());
            double sum = 0;
            for (size_t i = 0; i < w.size(); ++i) sum += std::abs(x[i] * static_cast<double>(w[i]));
            out[static_cast<size_t>(t * task.n_rows + r)] = sum;
        }
    }
    return out;
}

/// The largest error of one kernel on one case, relative to the sum of the products' magnitudes.
double largest_error(const MatmulChoice& choice, DType dtype, const Case& c, std::mt19937& random) {
    Operands operands = make_operands(dtype, choice.activations, c, random);
    const int64_t stride = c.n_rows + 3;
    const float untouched = -12345.0f;
    std::vector<float> expected(static_cast<size_t>(c.n_tokens * stride), untouched), out = expected;
    operands.task.out_stride = stride;
    operands.task.out = expected.data();
    matmul_reference(dtype, choice.activations, operands.task);
    operands.task.out = out.data();
    choice.kernel(operands.task);
    const std::vector<double> scale = magnitudes(dtype, choice.activations, operands.task);
    double worst = 0;
    for (int64_t t = 0; t < c.n_tokens; ++t)
        for (int64_t r = 0; r < stride; ++r) {
            const auto at = static_cast<size_t>(t * stride + r);
            const double error = std::abs(static_cast<double>(out[at]) - static_cast<double>(expected[at]));
            if (!(error >= 0)) return std::numeric_limits<double>::infinity();
            if (r >= c.n_rows)
                worst = std::max(worst, error);  // a write past the rows
            else
                worst = std::max(worst, error / std::max(scale[static_cast<size_t>(t * c.n_rows + r)], 1e-30));
        }
    return worst;
}

const std::vector<DType> formats{DType::f32,     DType::f16,   DType::bf16,  DType::q4_0,  DType::q4_1,    DType::q5_0,   DType::q5_1,
                                 DType::q8_0,    DType::q2_k,  DType::q3_k,  DType::q4_k,  DType::q5_k,    DType::q6_k,   DType::iq4_nl,
                                 DType::iq4_xs,  DType::iq3_s, DType::iq2_s, DType::iq1_s, DType::iq3_xxs, DType::iq2_xs, DType::iq1_m,
                                 DType::iq2_xxs, DType::tq1_0, DType::tq2_0, DType::mxfp4};

constexpr TokenKernels both_kinds[] = {TokenKernels::few, TokenKernels::many};

/// Both kinds serve any number of tokens. Of many the number matters less: they pass in tiles of up to 12.
constexpr std::pair<TokenKernels, int64_t> kernels_and_tokens[] = {
    {TokenKernels::few, 1},   {TokenKernels::few, 2},   {TokenKernels::few, 3},   {TokenKernels::few, 4},  {TokenKernels::few, 5},
    {TokenKernels::few, 7},   {TokenKernels::few, 9},   {TokenKernels::few, 33},  {TokenKernels::many, 1}, {TokenKernels::many, 10},
    {TokenKernels::many, 12}, {TokenKernels::many, 17}, {TokenKernels::many, 33},
};

/// Of quantized formats the last one is longer than what row_lanes.h and k_lanes.h take of a row at once.
std::vector<int64_t> row_lengths(DType dtype) {
    switch (dtype_info(dtype).block_size) {
        case 1:
            return {1, 7, 31, 256, 1000, 2304};
        case 32:
            return {32, 96, 256, 1056, 3104, 6208};
        default:
            return {256, 512, 768, 2304, 6400};
    }
}

// Relative to the sum of |x w|. A chain of f32 additions errs by at most half a unit in the last place (6e-8) for each of them, and by far
// less where the errors are random; the worst seen is 3e-7 (Q4_0, whose 32-value blocks make the longest chains).
constexpr double error_bound = 1e-6;
// Weights that a kernel rounds to bf16 err by up to 2^-8 each.
constexpr double bf16_error_bound = 0x1p-8;

double bound(const MatmulChoice& choice) { return choice.activations == ActivationFormat::bf16 ? bf16_error_bound : error_bound; }

// The first of 32 values is this one, and with it the scale is 1. Others as large have low planes of 0, 127 and -127.
constexpr float largest_activation = 127 * 256;
constexpr float extreme_activations[] = {-largest_activation, 126 * 256 + 127, 127 * 256 - 127};

/// The largest error of weights at one end of their range times x, in units of what is allowed.
double largest_error_of_extremes(const MatmulChoice& choice, DType dtype, const Case& c, Extreme extreme, float x) {
    std::mt19937 random(3);
    Operands operands = make_operands(dtype, choice.activations, c, random);
    MatmulTask& task = operands.task;
    fill_extreme(dtype, extreme, operands.weights);
    std::vector<float> row(static_cast<size_t>(c.n_in), x);
    for (size_t i = 0; i < row.size(); i += 32) row[i] = largest_activation;
    for (int64_t t = 0; t < c.n_tokens; ++t)
        cpu_kernels(Isa::scalar)
            .quantize(choice.activations)(row.data(), operands.activations.data() + t * task.activation_row_bytes, c.n_in);
    std::vector<float> expected(static_cast<size_t>(c.n_tokens * c.n_rows)), out(expected.size());
    task.out_stride = c.n_rows;
    task.out = expected.data();
    matmul_reference(dtype, choice.activations, task);
    task.out = out.data();
    choice.kernel(task);
    const std::vector<double> scale = magnitudes(dtype, choice.activations, task);
    // Equal products may all be rounded the same way: where floats are added one by one, by half a unit in the last place each.
    const double allowed = choice.activations == ActivationFormat::f32 ? static_cast<double>(c.n_in) * 0x1p-24 : bound(choice);
    double worst = 0;
    for (size_t i = 0; i < out.size(); ++i) {
        const double error = std::abs(static_cast<double>(out[i]) - static_cast<double>(expected[i]));
        if (!(error >= 0)) return std::numeric_limits<double>::infinity();
        worst = std::max(worst, error / std::max(allowed * scale[i], 1e-30));
    }
    return worst;
}

}  // namespace

TEST_CASE("every kernel agrees with the reference on odd shapes") {
    for (const Isa isa : runnable()) {
        for (const DType dtype : formats) {
            CAPTURE(to_string(isa));
            CAPTURE(dtype_name(dtype));
            std::mt19937 random(7);
            for (const auto& [kernels, n_tokens] : kernels_and_tokens) {
                CAPTURE((kernels == TokenKernels::few));
                CAPTURE(n_tokens);
                const MatmulChoice choice = cpu_kernels(isa).matmul(dtype, kernels);
                REQUIRE((choice.kernel != nullptr));
                double worst = 0;
                for (const int64_t n_in : row_lengths(dtype)) {
                    if (n_in > 6000 && n_tokens > 1) continue;  // only one token is taken in stretches so long
                    for (const int64_t n_rows : {1, 2, 3, 5, 7, 33}) {
                        if (n_rows * n_tokens * n_in > 300000 && n_rows != 33) continue;  // the large ones once
                        worst = std::max(worst, largest_error(choice, dtype, {n_rows, n_tokens, n_in}, random));
                    }
                }
                CHECK(worst < bound(choice));
            }
        }
    }
}

TEST_CASE("what one token computes does not depend, to the last bit, on how many are with it") {
    for (const Isa isa : runnable())
        for (const DType dtype : formats)
            for (const TokenKernels kernels : both_kinds) {
                CAPTURE(to_string(isa));
                CAPTURE(dtype_name(dtype));
                CAPTURE((kernels == TokenKernels::few));
                std::mt19937 random(11);
                const MatmulChoice choice = cpu_kernels(isa).matmul(dtype, kernels);
                const int64_t n_in = row_lengths(dtype).back(), n_rows = 19;
                constexpr int most_tokens = 67;
                Operands operands = make_operands(dtype, choice.activations, {n_rows, most_tokens, n_in}, random);
                std::vector<float> alone(most_tokens * n_rows), together(alone.size());
                MatmulTask task = operands.task;
                task.out_stride = n_rows;
                task.n_tokens = 1;
                for (int64_t t = 0; t < most_tokens; ++t) {
                    task.activations = operands.task.activations + t * task.activation_row_bytes;
                    task.out = alone.data() + t * n_rows;
                    choice.kernel(task);
                }
                task.out = together.data();
                for (const int n : {2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33, 37, most_tokens}) {
                    task.activations = operands.task.activations;
                    task.n_tokens = n;
                    choice.kernel(task);
                    CHECK(std::equal(together.begin(), together.begin() + n * n_rows, alone.begin()));
                }
            }
}

TEST_CASE("weights and activations of the largest size do not overflow the integers") {
    for (const Isa isa : runnable()) {
        for (const DType dtype : formats) {
            if (row_activations(dtype) == ActivationFormat::f32) continue;
            for (const TokenKernels kernels : both_kinds)
                for (const int64_t n_tokens : {1, 2, 4, 40}) {
                    CAPTURE(to_string(isa));
                    CAPTURE(dtype_name(dtype));
                    CAPTURE((kernels == TokenKernels::few));
                    CAPTURE(n_tokens);
                    const MatmulChoice choice = cpu_kernels(isa).matmul(dtype, kernels);
                    for (const float x : extreme_activations) {
                        CAPTURE(x);
                        CHECK(largest_error_of_extremes(choice, dtype, {17, n_tokens, 512}, Extreme::lowest, x) <= 1);
                        CHECK(largest_error_of_extremes(choice, dtype, {17, n_tokens, 512}, Extreme::highest, x) <= 1);
                    }
                }
        }
    }
}

TEST_CASE("formats without a kernel are known by a null pointer") {
    for (const Isa isa : runnable()) {
        CHECK(cpu_kernels(isa).isa == isa);
        for (const DType dtype : {DType::i32, DType::q8_1, DType::f64}) {
            CHECK((cpu_kernels(isa).matmul(dtype, TokenKernels::few).kernel == nullptr));
            CHECK((cpu_kernels(isa).matmul(dtype, TokenKernels::many).kernel == nullptr));
        }
    }
}

}  // namespace quern
