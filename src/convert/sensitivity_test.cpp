#include "convert/sensitivity.h"

#include <doctest/doctest.h>

#include "convert/encode_error.h"
#include "convert/quantize.h"
#include "models/tiny_model_test.h"

using namespace quern;

namespace {

std::vector<TokenId> some_tokens() {
    std::vector<TokenId> tokens{{1}};
    for (int i = 0; i < 40; ++i) tokens.push_back({3 + (i * 37 + i * i) % 256});
    return tokens;
}

double divergence_with(SensitivityProbe& probe, const GgufTensor& tensor, DType dtype) {
    ThreadPool pool(1);
    const PlannedTensor planned{.source = &tensor, .dtype = dtype};
    const std::vector<std::byte> encoded = encode_tensor(planned, pool);
    return probe.divergence(tensor, {dtype, tensor.view.shape, encoded.data()});
}

}  // namespace

TEST_CASE("a model with a weight replaced by itself predicts the same, and the coarser the format the more it differs") {
    const TemporaryModel model(TinyModel{});
    const auto file = GgufFile::open(model.path());
    SensitivityProbe probe(*file, some_tokens(), 2);
    const GgufTensor& tensor = *file->find_tensor("blk.0.ffn_up.weight");
    const double same = probe.divergence(tensor, tensor.view);
    const double fine = divergence_with(probe, tensor, DType::q8_0), coarse = divergence_with(probe, tensor, DType::q4_0);
    CHECK(same < fine / 10);  // rounding of logarithms
    CHECK(coarse > 20 * fine);
    CHECK(probe.importance().size() == 2 * 7 + 1);
    CHECK(probe.importance().at("blk.1.ffn_down.weight").size() == 64);
}

TEST_CASE("a divergence is the same for any number of threads") {
    const TemporaryModel model(TinyModel{});
    const auto file = GgufFile::open(model.path());
    const GgufTensor& tensor = *file->find_tensor("token_embd.weight");
    SensitivityProbe one(*file, some_tokens(), 1), three(*file, some_tokens(), 3);
    const double expected = divergence_with(one, tensor, DType::q4_0);
    CHECK(expected > 0);
    CHECK(divergence_with(three, tensor, DType::q4_0) == expected);
}

TEST_CASE("a sample's error falls with the bits, and is that of the columns that count") {
    const TemporaryModel model(TinyModel{});
    const auto file = GgufFile::open(model.path());
    const GgufTensor& tensor = *file->find_tensor("blk.0.ffn_up.weight");
    const SampledRows rows(tensor, {}, {});
    CHECK(rows.relative_error(DType::q8_0) < rows.relative_error(DType::q5_0));
    CHECK(rows.relative_error(DType::q5_0) < rows.relative_error(DType::q4_0));
    CHECK(rows.relative_error(DType::f16) < 1e-6);
    std::vector<float> only_first(32, 0.0f);
    only_first[0] = 1;
    const SampledRows weighted(tensor, only_first, only_first);
    CHECK(weighted.relative_error(DType::q4_0) < 0.1 * rows.relative_error(DType::q4_0));
}
