// Models split over several files.
#include <doctest/doctest.h>

#include <functional>

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf/sample_file_test.h"

namespace quern {
namespace {

using test::part_sample;
using test::SampleFile;
using test::TemporaryFolder;

std::string part_name(int number, int count) {
    char text[64];
    std::snprintf(text, sizeof(text), "m-%05d-of-%05d.gguf", number, count);
    return text;
}

/// Writes all parts, each changed by `change(number from 0, part)`, and returns the error of opening the first.
std::string error_with(const TemporaryFolder& folder, uint16_t count, const std::function<void(int, SampleFile&)>& change) {
    for (uint16_t i = 0; i < count; ++i) {
        SampleFile part = part_sample(i, count, count);
        change(i, part);
        folder.write(part_name(i + 1, count), part.bytes);
    }
    try {
        GgufFile::open(folder.file(part_name(1, count)));
    } catch (const ModelError& error) {
        return error.what();
    }
    return "";
}

bool contains(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

TEST_CASE("the parts of a split are opened as one file") {
    for (const uint16_t count : {uint16_t{2}, uint16_t{3}}) {
        const TemporaryFolder folder;
        REQUIRE(error_with(folder, count, [](int, SampleFile&) {}) == "");
        const auto file = GgufFile::open(folder.file(part_name(1, count)));
        CHECK(file->n_parts() == count);
        REQUIRE(file->tensors().size() == count);
        for (uint32_t i = 0; i < count; ++i) {
            const GgufTensor* tensor = file->find_tensor("tensor." + std::to_string(i));
            REQUIRE(tensor != nullptr);
            CHECK(tensor->part == i);
            CHECK(tensor->view.f32()[1] == static_cast<float>(i * 4 + 1));
        }
        CHECK(file->metadata().string("general.architecture") == "llama");
        CHECK(file->file_bytes() > uint64_t{count} * 100);
    }
}

TEST_CASE("a missing part is named") {
    const TemporaryFolder folder;
    error_with(folder, 3, [](int, SampleFile&) {});
    std::filesystem::remove(folder.file(part_name(3, 3)));
    CHECK_THROWS_WITH_AS(GgufFile::open(folder.file(part_name(1, 3))), (folder.file(part_name(3, 3)) + ": no such file").c_str(),
                         ModelError);
}

TEST_CASE("opening a later part says to open the first, by its name") {
    const TemporaryFolder folder;
    error_with(folder, 2, [](int, SampleFile&) {});
    const std::string expected = folder.file(part_name(2, 2)) + ": is part 2 of 2: open part 1, " + folder.file(part_name(1, 2));
    CHECK_THROWS_WITH_AS(GgufFile::open(folder.file(part_name(2, 2))), expected.c_str(), ModelError);
    const std::string renamed = folder.write("renamed.gguf", part_sample(1, 2, 2).bytes);
    CHECK_THROWS_WITH_AS(GgufFile::open(renamed), doctest::Contains("open part 1"), ModelError);
}

TEST_CASE("a first part with another name cannot find the others") {
    const TemporaryFolder folder;
    const std::string path = folder.write("model.gguf", part_sample(0, 2, 2).bytes);
    CHECK_THROWS_WITH_AS(GgufFile::open(path), doctest::Contains("its name must end in -00001-of-00002.gguf"), ModelError);
}

TEST_CASE("parts that do not belong together are refused by name") {
    const TemporaryFolder folder;
    const auto swapped = [](int i, SampleFile& part) {
        if (i == 1) part = part_sample(2, 3, 3);
    };
    CHECK(contains(error_with(folder, 3, swapped), "m-00002-of-00003.gguf: is part 3 by its contents"));
    const auto other_count = [](int i, SampleFile& part) {
        if (i == 1) part.overwrite("split.count value", uint16_t{7});
    };
    CHECK(contains(error_with(folder, 2, other_count), "m-00002-of-00002.gguf: says that the model has 7 parts"));
    const auto other_total = [](int i, SampleFile& part) {
        if (i == 1) part.overwrite("split.tensors.count value", int32_t{9});
    };
    CHECK(contains(error_with(folder, 2, other_total), "m-00002-of-00002.gguf: says that the model has 9 tensors"));
    const auto wrong_total = [](int, SampleFile& part) { part.overwrite("split.tensors.count value", int32_t{5}); };
    CHECK(contains(error_with(folder, 2, wrong_total), "split.tensors.count is 5, but there are 2 tensors"));
    const auto same_tensor = [](int i, SampleFile& part) {
        if (i == 1) part.bytes[part.field("tensor.1 text").at + 7] = '0';
    };
    CHECK(contains(error_with(folder, 2, same_tensor), "m-00002-of-00002.gguf: tensor \"tensor.0\" is also in part 1"));
    const auto plain_file = [](int i, SampleFile& part) {
        if (i == 1) part = test::full_sample();
    };
    CHECK(contains(error_with(folder, 2, plain_file), "m-00002-of-00002.gguf: says that the model has 1 parts"));
}

TEST_CASE("a truncated later part is named, with its missing bytes") {
    const TemporaryFolder folder;
    const auto cut = [](int i, SampleFile& part) {
        if (i == 1) part.bytes.resize(part.bytes.size() - 3);
    };
    const std::string message = error_with(folder, 2, cut);
    CHECK(contains(message, "m-00002-of-00002.gguf: tensor \"tensor.1\""));
    CHECK(contains(message, "3 bytes are missing"));
}

TEST_CASE("impossible split numbers are refused") {
    const TemporaryFolder folder;
    for (const uint16_t number : {uint16_t{2}, uint16_t{65535}}) {
        const std::string path = folder.write("a.gguf", part_sample(number, 2, 2).bytes);
        CHECK_THROWS_WITH_AS(GgufFile::open(path), doctest::Contains("but the model has 2 parts"), ModelError);
    }
    SampleFile text_number = part_sample(0, 2, 2);
    text_number.overwrite("split.no type", uint32_t{7});  // a bool of one byte: what follows no longer fits
    CHECK_THROWS_AS(GgufFile::open(folder.write("b.gguf", text_number.bytes)), ModelError);
    SampleFile negative = part_sample(0, 2, 2);
    negative.overwrite("split.count type", uint32_t{3});
    negative.overwrite("split.count value", int16_t{-1});
    CHECK_THROWS_WITH_AS(GgufFile::open(folder.write("c.gguf", negative.bytes)), doctest::Contains("split.count is -1"), ModelError);
}

TEST_CASE("a split of one part may have any name") {
    const TemporaryFolder folder;
    CHECK(GgufFile::open(folder.write("any.gguf", part_sample(0, 1, 1).bytes))->tensors().size() == 1);
    CHECK(GgufFile::open(folder.write("zero.gguf", part_sample(0, 0, 1).bytes))->tensors().size() == 1);
}

}  // namespace
}  // namespace quern
