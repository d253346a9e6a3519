#include "convert/verify.h"

#include <doctest/doctest.h>

#include <fstream>
#include <limits>

#include "models/tiny_model_test.h"

namespace quern {
namespace {

/// Overwrites one f32 of a file.
void poke(const std::string& path, uint64_t at, float value) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

TEST_CASE("a value that is not finite is found, with its place") {
    const TemporaryModel model({});
    uint64_t at = 0;
    std::string name;
    {
        const auto file = GgufFile::open(model.path());
        const GgufTensor& tensor = file->tensors()[5];
        REQUIRE(tensor.view.dtype == DType::f32);
        at = tensor.offset + 7 * sizeof(float);
        name = tensor.name;
    }
    ThreadPool pool(2);
    for (const TensorCheck& check : check_tensors(*GgufFile::open(model.path()), pool)) CHECK(!check.is_broken());
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        poke(model.path(), at, bad);
        const auto file = GgufFile::open(model.path());
        for (const TensorCheck& check : check_tensors(*file, pool)) {
            CHECK(check.is_broken() == (check.tensor->name == name));
            if (!check.is_broken()) continue;
            CHECK(check.n_not_finite == 1);
            CHECK(check.first_bad == 7);
        }
    }
}

TEST_CASE("two files are compared by tensor and by key") {
    const TemporaryModel model({}),
        other({.change_keys = [](GgufWriter&writer) { writer.set("general.name", std::string_view("other")); }});
    ThreadPool pool(2);
    const auto here = GgufFile::open(model.path());
    CHECK(compare_tensors(*here, *GgufFile::open(other.path()), pool).empty());
    CHECK(compare_keys(*here, *GgufFile::open(other.path())) == std::vector<std::string>{"general.name"});
    const GgufTensor& tensor = here->tensors()[3];
    const float before = tensor.view.f32()[2];
    poke(other.path(), GgufFile::open(other.path())->tensors()[3].offset + 2 * sizeof(float), before + 0.5f);
    const auto differences = compare_tensors(*here, *GgufFile::open(other.path()), pool);
    REQUIRE(differences.size() == 1);
    CHECK(differences[0].name == tensor.name);
    CHECK(differences[0].kind == TensorDifference::Kind::values);
    CHECK(differences[0].n_different == 1);
    CHECK(differences[0].max_difference == doctest::Approx(0.5));
}

TEST_CASE("the hash of a tensor's bytes is SHA-256") {
    const TemporaryModel model({});
    ThreadPool pool(1);
    const auto file = GgufFile::open(model.path());
    const std::vector<TensorCheck> once = check_tensors(*file, pool), again = check_tensors(*file, pool);
    for (size_t i = 0; i < once.size(); ++i) {
        CHECK(once[i].sha256.size() == 64);
        CHECK(once[i].sha256 == again[i].sha256);
        if (i > 0 && once[i].tensor->view.shape.rank() > 1) CHECK(once[i].sha256 != once[i - 1].sha256);
    }
}

}  // namespace quern
