#include "gguf/gguf_writer.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf/sample_file_test.h"

namespace quern {
namespace {

using test::TemporaryFolder;

std::string contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

size_t n_files(const TemporaryFolder& folder) {
    const std::filesystem::directory_iterator all(folder.file(""));
    return static_cast<size_t>(std::distance(begin(all), end(all)));
}

/// Copies an opened file with its keys and tensors.
void copy(const GgufFile& from, const std::string& to) {
    GgufWriter writer;
    writer.set_all(from.metadata());
    for (const GgufTensor& tensor : from.tensors()) writer.add_tensor(tensor.name, tensor.view.dtype, tensor.view.shape);
    writer.open(to);
    for (const GgufTensor& tensor : from.tensors()) writer.write({tensor.view.data, tensor.view.bytes()});
    writer.finish();
}

TEST_CASE("a copy through reader and writer has the same bytes") {
    const TemporaryFolder folder;
    const std::string original = folder.write("a.gguf", test::full_sample().bytes);
    copy(*GgufFile::open(original), folder.file("b.gguf"));
    std::string expected = contents(original);
    expected.resize((expected.size() + 31) / 32 * 32, '\0');  // the writer also pads after the last tensor
    const bool same = contents(folder.file("b.gguf")) == expected;
    CHECK(same);
    CHECK(n_files(folder) == 2);
}

// tests/e2e/test_gguf.py writes a file, has it copied here, and reads the copy, both with the reference package.
TEST_CASE("the file named by QUERN_COPY_FROM is copied to QUERN_COPY_TO") {
    const char* from = std::getenv("QUERN_COPY_FROM");
    const char* to = std::getenv("QUERN_COPY_TO");
    if (from && to) CHECK_NOTHROW(copy(*GgufFile::open(from), to));
}

TEST_CASE("a copy may take the place of the file it is made from") {
    const TemporaryFolder folder;
    const std::string path = folder.write("a.gguf", test::full_sample().bytes);
    const auto before = GgufFile::open(path);
    copy(*before, path);
    CHECK(GgufFile::open(path)->tensors().size() == 4);
    CHECK(before->tensors()[2].view.data[0] == std::byte{224});
}

TEST_CASE("tensor data may come in pieces, and every tensor starts at a multiple of the alignment") {
    const TemporaryFolder folder;
    GgufWriter writer;
    writer.set("general.alignment", uint32_t{128});
    writer.add_tensor("a", DType::f32, {3});
    writer.add_tensor("b", DType::q8_0, {2, 32});
    writer.open(folder.file("a.gguf"));
    CHECK(!std::filesystem::exists(folder.file("a.gguf")));
    for (int i = 0; i < 12 + 68; ++i) {
        const std::byte byte{static_cast<unsigned char>(i)};
        writer.write({&byte, 1});
    }
    writer.finish();
    const auto file = GgufFile::open(folder.file("a.gguf"));
    CHECK(file->tensors()[0].offset % 128 == 0);
    CHECK(file->tensors()[1].offset == file->tensors()[0].offset + 128);
    CHECK(file->tensors()[0].view.data[11] == std::byte{11});
    CHECK(file->tensors()[1].view.data[0] == std::byte{12});
    CHECK(file->tensors()[1].view.shape == Shape{2, 32});
    CHECK(file->file_bytes() == writer.file_bytes());
}

TEST_CASE("large tensors pass through and small ones are gathered") {
    const TemporaryFolder folder;
    GgufWriter writer;
    const std::vector<std::byte> big(3 << 20, std::byte{7}), small(20, std::byte{9});
    writer.add_tensor("small", DType::i8, {20});
    writer.add_tensor("big", DType::i8, {3 << 20});
    writer.add_tensor("last", DType::i8, {20});
    writer.open(folder.file("a.gguf"));
    for (const auto* data : {&small, &big, &small}) writer.write(*data);
    writer.finish();
    const auto file = GgufFile::open(folder.file("a.gguf"));
    CHECK(file->tensors()[0].view.data[19] == std::byte{9});
    CHECK(file->tensors()[1].view.data[(3 << 20) - 1] == std::byte{7});
    CHECK(file->tensors()[2].view.data[0] == std::byte{9});
}

TEST_CASE("keys can be replaced in place and removed") {
    const TemporaryFolder folder;
    GgufWriter writer;
    writer.set("a", uint32_t{1});
    writer.set("b", "text");
    writer.set("c", true);
    writer.set("a", 2.5f);
    writer.remove("b");
    writer.remove("none");
    const std::vector<std::string> words{"x", "", "z"};
    writer.set_strings("words", words);
    writer.set_integers("ints", std::vector<int32_t>{-1, 2});
    writer.set_reals("reals", std::vector<float>{0.5f});
    writer.set_reals("none", std::vector<float>{});
    writer.set("c", false);
    writer.open(folder.file("a.gguf"));
    writer.finish();
    const auto file = GgufFile::open(folder.file("a.gguf"));
    const Metadata& m = file->metadata();
    REQUIRE(m.entries().size() == 6);
    CHECK(m.entries()[0].key == "a");
    CHECK(m.real("a") == 2.5);
    CHECK(m.boolean("c") == false);
    CHECK(m.strings("words").size() == 3);
    CHECK(m.integers("ints") == std::vector<int64_t>{-1, 2});
    CHECK(m.reals("reals") == std::vector<float>{0.5f});
    CHECK(m.reals("none").empty());
}

TEST_CASE("what the reader would refuse is not written") {
    GgufWriter writer;
    CHECK_THROWS_AS(writer.set("", uint32_t{1}), ModelError);
    CHECK_THROWS_AS(writer.set("\xff", uint32_t{1}), ModelError);
    CHECK_THROWS_AS(writer.set(std::string(70000, 'k'), uint32_t{1}), ModelError);
    CHECK_THROWS_AS(writer.set("general.alignment", uint32_t{24}), ModelError);
    CHECK_THROWS_AS(writer.set("general.alignment", uint32_t{4}), ModelError);
    CHECK_THROWS_AS(writer.set("general.alignment", uint64_t{32}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("", DType::f32, {1}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("a", DType::f32, {}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("a", DType::f32, {2, 0}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("a", DType::f32, {-1}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("a", DType::q4_0, {33}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("a", DType::f32, {int64_t{1} << 32, int64_t{1} << 31}), ModelError);
    CHECK_THROWS_AS(writer.add_tensor("a", DType::f64, {int64_t{1} << 60}), ModelError);
    writer.add_tensor("a", DType::f32, {1});
    CHECK_THROWS_AS(writer.add_tensor("a", DType::f32, {1}), ModelError);
    CHECK(writer.tensors().size() == 1);
}

TEST_CASE("an unfinished file leaves nothing behind, and the old one in place") {
    const TemporaryFolder folder;
    const std::string path = folder.write("a.gguf", "old");
    {
        GgufWriter writer;
        writer.add_tensor("a", DType::f32, {1});
        writer.open(path);
        CHECK(n_files(folder) <= 2);  // the new one has no name yet, where the file system allows that
        CHECK_THROWS_AS(writer.finish(), InternalError);
        const std::array<std::byte, 5> too_many{};
        CHECK_THROWS_AS(writer.write(too_many), InternalError);
    }
    CHECK(n_files(folder) == 1);
    CHECK(contents(path) == "old");
}

TEST_CASE("a folder that is missing or in the way is the caller's mistake") {
    const TemporaryFolder folder;
    GgufWriter writer;
    CHECK_THROWS_AS(writer.open(folder.file("no/a.gguf")), InvalidInput);
    CHECK_THROWS_AS(writer.open(folder.file("")), InvalidInput);
    CHECK_THROWS_AS(writer.open(""), InvalidInput);
}

/// The largest file this process may write: stands in for a full disk.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) {
        old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit limit{bytes, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        ::signal(SIGXFSZ, old_handler_);
    }

  private:
    rlimit old_{};
    sighandler_t old_handler_ = SIG_DFL;
};

TEST_CASE("a disk without room is a device error that names the file, before any data are written") {
    const TemporaryFolder folder;
    const FileSizeLimit limit(100000);
    GgufWriter writer;
    writer.add_tensor("a", DType::i8, {1000000});
    CHECK_THROWS_WITH_AS(writer.open(folder.file("a.gguf")), doctest::Contains((folder.file("a.gguf") + ": cannot set aside").c_str()),
                         DeviceError);
    CHECK(n_files(folder) == 0);
}

TEST_CASE("a disk that fills up while writing is a device error and nothing is kept") {
    const TemporaryFolder folder;
    const FileSizeLimit limit(100000);
    {
        OutputFile file(folder.file("a"));
        CHECK_THROWS_AS(file.write(std::vector<std::byte>(3 << 20)), DeviceError);
        CHECK_THROWS_AS(file.reserve(std::numeric_limits<uint64_t>::max()), DeviceError);
    }
    CHECK(n_files(folder) == 0);
}

}  // namespace
}  // namespace quern
