#include "gguf/sample_file_test.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>

#include "base/error.h"
#include "base/printable.h"
#include "gguf/header.h"

namespace quern::test {

void SampleFile::text(const std::string& name, std::string_view value) {
    number(name + " length", FieldKind::length, uint64_t{value.size()});
    fields.push_back({name + " text", FieldKind::text, bytes.size(), value.size()});
    bytes += value;
}

void SampleFile::start(uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
    fields.push_back({"magic", FieldKind::magic, 0, 4});
    bytes = "GGUF";
    number("version", FieldKind::version, version);
    number("n_tensors", FieldKind::count, n_tensors, 33);
    number("n_keys", FieldKind::count, n_keys, 14);
}

void SampleFile::key(const std::string& name, uint32_t type) {
    text(name, name);
    number(name + " type", FieldKind::value_type, type);
}

void SampleFile::array_start(const std::string& name, uint32_t element_type, uint64_t count, size_t bytes_each) {
    number(name + " element type", FieldKind::value_type, element_type);
    number(name + " count", FieldKind::count, count, bytes_each);
}

void SampleFile::tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t dtype, uint64_t offset) {
    text(name, name);
    number(name + " n_dims", FieldKind::n_dims, static_cast<uint32_t>(dims.size()));
    for (size_t i = 0; i < dims.size(); ++i) number(name + " dim " + std::to_string(i), FieldKind::dim, dims[i]);
    number(name + " dtype", FieldKind::dtype, dtype);
    number(name + " offset", FieldKind::offset, offset);
}

const Field& SampleFile::field(std::string_view name) const {
    for (const Field& candidate : fields)
        if (candidate.name == name) return candidate;
    throw std::out_of_range(std::string(name));
}

SampleFile full_sample() {
    SampleFile f;
    f.start(3, 4, 19);
    f.key("general.architecture", 8);
    f.text("architecture value", "llama");
    f.number_key("general.alignment", 4, uint32_t{32}, FieldKind::alignment);
    f.number_key("a.u8", 0, uint8_t{200});
    f.number_key("a.i8", 1, int8_t{-100});
    f.number_key("a.u16", 2, uint16_t{60000});
    f.number_key("a.i16", 3, int16_t{-30000});
    f.number_key("a.u32", 4, uint32_t{4000000000});
    f.number_key("a.i32", 5, int32_t{-2000000000});
    f.number_key("a.f32", 6, 1.5f);
    f.number_key("a.bool", 7, uint8_t{1}, FieldKind::boolean);
    f.number_key("a.u64", 10, uint64_t{1} << 63);
    f.number_key("a.i64", 11, -(int64_t{1} << 62));
    f.number_key("a.f64", 12, 2.25);
    f.key("b.text", 9);
    f.array_start("b.text", 8, 3, 8);
    f.text("b.text 0", "one");
    f.text("b.text 1", "");
    f.text("b.text 2", "three");
    f.key("b.ints", 9);
    f.array_start("b.ints", 5, 3, 4);
    for (const int32_t value : {1, -2, 3}) f.number("b.ints value", FieldKind::number, value);
    f.key("b.reals", 9);
    f.array_start("b.reals", 6, 2, 4);
    for (const float value : {0.5f, -0.25f}) f.number("b.reals value", FieldKind::number, value);
    f.key("b.bools", 9);
    f.array_start("b.bools", 7, 2, 1);
    f.number("b.bools 0", FieldKind::boolean, uint8_t{0});
    f.number("b.bools 1", FieldKind::boolean, uint8_t{1});
    f.key("b.nest", 9);
    f.array_start("b.nest", 9, 2, 12);
    f.array_start("b.nest 0", 2, 2, 2);
    for (const uint16_t value : {uint16_t{7}, uint16_t{8}}) f.number("b.nest value", FieldKind::number, value);
    f.array_start("b.nest 1", 8, 1, 8);
    f.text("b.nest 1 0", "deep");
    f.key("b.empty", 9);
    f.array_start("b.empty", 8, 0, 8);
    f.tensor("t.f32", {8, 4}, 0, 0);          // 128 bytes
    f.tensor("t.q4_0", {64, 2, 1}, 2, 128);   // 72 bytes
    f.tensor("t.f16", {16}, 1, 224);          // 32 bytes
    f.tensor("t.i8", {3, 2, 1, 2}, 24, 256);  // 12 bytes
    f.pad(32);
    f.fields.push_back({"data", FieldKind::data, f.bytes.size(), 268});
    for (int i = 0; i < 268; ++i) f.bytes += i >= 200 && i < 224 ? '\0' : static_cast<char>(i);
    return f;
}

SampleFile part_sample(uint16_t number, uint16_t count, int32_t n_tensors) {
    SampleFile f;
    f.start(3, 1, number == 0 ? 4 : 3);
    if (number == 0) {
        f.key("general.architecture", 8);
        f.text("architecture value", "llama");
    }
    f.number_key("split.no", 2, number);
    f.number_key("split.count", 2, count);
    f.number_key("split.tensors.count", 5, n_tensors);
    f.tensor("tensor." + std::to_string(number), {4}, 0, 0);
    f.pad(32);
    for (int i = 0; i < 4; ++i) f.number("data", FieldKind::data, static_cast<float>(number * 4 + i));
    return f;
}

TemporaryFolder::TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "quern-gguf-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

std::string TemporaryFolder::write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return file(name);
}

std::string error_of(std::string_view bytes) {
    const std::vector<std::byte> exact(reinterpret_cast<const std::byte*>(bytes.data()),
                                       reinterpret_cast<const std::byte*>(bytes.data()) + bytes.size());
    std::string message;
    const size_t before = allocated_bytes();
    try {
        parse_header(exact, "folder/model.gguf");
    } catch (const ModelError& error) {
        message = error.what();
    }
    // The message and the streams that build it take a few kilobytes; all else must be in proportion to the file.
    CHECK(allocated_bytes() - before <= 32768 + 16 * bytes.size());
    if (message.empty()) return message;
    CAPTURE(message);
    CHECK(message.starts_with("folder/model.gguf: "));
    for (const char c : message) REQUIRE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
    const std::string mark = ", at byte ";
    const size_t at = message.rfind(mark);
    REQUIRE(at != std::string::npos);
    CHECK(message.find_first_not_of("0123456789", at + mark.size()) == std::string::npos);
    CHECK(std::stoull(message.substr(at + mark.size())) <= bytes.size());
    CHECK(is_utf8(message));
    return message;
}

}  // namespace quern::test
