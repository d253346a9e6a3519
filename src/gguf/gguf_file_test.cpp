// Valid files: what the reader finds in them.
#include "gguf/gguf_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "gguf/header.h"
#include "gguf/sample_file_test.h"

namespace quern {
namespace {

using test::full_sample;
using test::SampleFile;
using test::TemporaryFolder;

std::string open_error(const std::string& path) {
    try {
        GgufFile::open(path);
    } catch (const ModelError& error) {
        return error.what();
    }
    return "";
}

TEST_CASE("every type of key is read as it was written") {
    const TemporaryFolder folder;
    const auto file = GgufFile::open(folder.write("a.gguf", full_sample().bytes));
    const Metadata& m = file->metadata();
    CHECK(file->version() == 3);
    CHECK(m.entries().size() == 19);
    CHECK(m.entries()[2].key == "a.u8");
    CHECK(std::get<uint8_t>(*m.find("a.u8")) == 200);
    CHECK(std::get<int8_t>(*m.find("a.i8")) == -100);
    CHECK(std::get<uint16_t>(*m.find("a.u16")) == 60000);
    CHECK(std::get<int16_t>(*m.find("a.i16")) == -30000);
    CHECK(std::get<uint32_t>(*m.find("a.u32")) == 4000000000u);
    CHECK(std::get<int32_t>(*m.find("a.i32")) == -2000000000);
    CHECK(std::get<float>(*m.find("a.f32")) == 1.5f);
    CHECK(std::get<bool>(*m.find("a.bool")));
    CHECK(std::get<uint64_t>(*m.find("a.u64")) == uint64_t{1} << 63);
    CHECK(std::get<int64_t>(*m.find("a.i64")) == -(int64_t{1} << 62));
    CHECK(std::get<double>(*m.find("a.f64")) == 2.25);
    CHECK(m.string("general.architecture") == "llama");
    CHECK(m.strings("b.text").size() == 3);
    CHECK(m.strings("b.text")[2] == "three");
    CHECK(m.integers("b.ints") == std::vector<int64_t>{1, -2, 3});
    CHECK(m.integers("b.bools") == std::vector<int64_t>{0, 1});
    CHECK(m.reals("b.reals") == std::vector<float>{0.5f, -0.25f});
    CHECK(m.strings("b.empty").empty());
    const auto& nest = std::get<MetadataArray>(*m.find("b.nest"));
    REQUIRE(nest.arrays.size() == 2);
    CHECK(std::get<uint16_t>(element_at(nest.arrays[0], 1)) == 8);
    CHECK(std::get<std::string_view>(element_at(nest.arrays[1], 0)) == "deep");
}

TEST_CASE("tensors have their shape outermost first and point at their data") {
    const TemporaryFolder folder;
    const SampleFile sample = full_sample();
    const auto file = GgufFile::open(folder.write("a.gguf", sample.bytes));
    REQUIRE(file->tensors().size() == 4);
    CHECK(file->tensors()[0].view.shape == Shape{4, 8});
    CHECK(file->tensors()[1].view.shape == Shape{1, 2, 64});
    CHECK(file->tensors()[1].view.dtype == DType::q4_0);
    CHECK(file->tensors()[1].view.bytes() == 72);
    CHECK(file->tensors()[3].view.shape == Shape{2, 1, 2, 3});
    const GgufTensor* found = file->find_tensor("t.f16");
    REQUIRE(found != nullptr);
    CHECK(found->offset == sample.field("data").at + 224);
    CHECK(found->view.data[0] == std::byte{224});
    CHECK(reinterpret_cast<uintptr_t>(found->view.data) % 32 == 0);
    CHECK(file->find_tensor("t.f1") == nullptr);
    CHECK(file->file_bytes() == sample.bytes.size());
    CHECK(file->n_parts() == 1);
}

TEST_CASE("version 2 has the same layout and is read too") {
    SampleFile sample = full_sample();
    sample.overwrite("version", uint32_t{2});
    CHECK(test::error_of(sample.bytes) == "");
}

TEST_CASE("a file of the smallest size has no keys and no tensors") {
    SampleFile sample;
    sample.start(3, 0, 0);
    CHECK(sample.bytes.size() == 24);
    CHECK(test::error_of(sample.bytes) == "");
}

TEST_CASE("keys of another type than asked for are refused by name") {
    const TemporaryFolder folder;
    const std::string path = folder.write("a.gguf", full_sample().bytes);
    const auto file = GgufFile::open(path);
    const Metadata& m = file->metadata();
    CHECK_THROWS_WITH_AS(m.integer("a.f32"), doctest::Contains((path + ": key \"a.f32\" is f32, not an integer").c_str()), ModelError);
    CHECK_THROWS_AS(m.integer("a.u64"), ModelError);
    CHECK_THROWS_AS(m.integer("a.bool"), ModelError);
    CHECK_THROWS_AS(m.integer("b.ints"), ModelError);
    CHECK_THROWS_AS(m.real("a.bool"), ModelError);
    CHECK_THROWS_AS(m.real("b.text"), ModelError);
    CHECK_THROWS_AS(m.boolean("a.u8"), ModelError);
    CHECK_THROWS_AS(m.string("a.u8"), ModelError);
    CHECK_THROWS_AS(m.strings("b.ints"), ModelError);
    CHECK_THROWS_AS(m.strings("general.architecture"), ModelError);
    CHECK_THROWS_AS(m.integers("b.text"), ModelError);
    CHECK_THROWS_AS(m.integers("b.reals"), ModelError);
    CHECK_THROWS_AS(m.reals("b.nest"), ModelError);
    CHECK_THROWS_WITH_AS(m.require_integer("none"), doctest::Contains("key \"none\" is missing"), ModelError);
    CHECK_THROWS_AS(m.require_real("none"), ModelError);
    CHECK_THROWS_AS(m.require_string("none"), ModelError);
    CHECK(!m.integer("none"));
    CHECK(!m.string("none"));
    CHECK(m.real("a.u64") == 9223372036854775808.0);
    CHECK(m.integer("a.i64") == -(int64_t{1} << 62));
    CHECK(m.reals("b.ints") == std::vector<float>{1, -2, 3});
}

TEST_CASE("what is no file is refused with its path") {
    const TemporaryFolder folder;
    const std::string here = folder.file("");
    CHECK(open_error(folder.file("none.gguf")) == folder.file("none.gguf") + ": no such file");
    CHECK(open_error(here) == here + ": is a folder, not a file");
    CHECK(open_error(folder.write("empty.gguf", "")) == folder.file("empty.gguf") + ": the file is empty, at byte 0");
    CHECK(open_error("/dev/null") == "/dev/null: is not a regular file");
    CHECK(open_error(std::string("a\0b", 3)) != "");
    // A named pipe without a writer must not block.
    REQUIRE(::mkfifo(folder.file("pipe").c_str(), 0600) == 0);
    CHECK(open_error(folder.file("pipe")) == folder.file("pipe") + ": is not a regular file");
}

TEST_CASE("a mapped file can be moved") {
    const TemporaryFolder folder;
    MappedFile a(folder.write("a", "first")), b(folder.write("b", "second"));
    const std::byte* data = a.bytes().data();
    MappedFile c(std::move(a));
    CHECK(c.bytes().data() == data);
    b = std::move(c);
    CHECK(b.bytes().data() == data);
    CHECK(b.bytes().size() == 5);
    CHECK(b.path() == folder.file("a"));
}

}  // namespace
}  // namespace quern
