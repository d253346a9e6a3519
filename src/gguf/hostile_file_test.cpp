// Broken files: each must be refused with one line that names the file and the byte, without memory out of proportion.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <random>

#include "gguf/sample_file_test.h"

namespace quern {
namespace {

using test::error_of;
using test::Field;
using test::FieldKind;
using test::full_sample;
using test::SampleFile;

constexpr uint64_t max64 = std::numeric_limits<uint64_t>::max();

/// The values that make this field wrong whatever follows it.
std::vector<uint64_t> wrong_values(const Field& field, const SampleFile& sample) {
    const uint64_t left = sample.bytes.size() - field.at - field.bytes;
    const uint64_t one_too_many = left / field.bytes_each + 1;
    switch (field.kind) {
        case FieldKind::magic:
            return {0, 1, 0x46554746, 0x47475546, 0xffffffff};
        case FieldKind::version:
            return {0, 1, 4, 100, 0x01000000, 0x02000000, 0x03000000, 0xffffffff};
        case FieldKind::count:
        case FieldKind::length:
            return {one_too_many, left + 1, uint64_t{1} << 40, uint64_t{1} << 61, uint64_t{1} << 63, max64 - 7, max64};
        case FieldKind::value_type:
            return {13, 14, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff};
        case FieldKind::boolean:
            return {2, 127, 128, 255};
        case FieldKind::alignment:
            return {0, 1, 2, 4, 7, 24, 31, 33, 48, 256, 0x7fffffff, 0x80000000, 0xffffffff};
        case FieldKind::n_dims:
            return {0, 5, 6, 1000, 0x80000000, 0xffffffff};
        case FieldKind::dim:
            return {0, uint64_t{1} << 31, uint64_t{1} << 40, uint64_t{1} << 62, uint64_t{1} << 63, max64 - 31, max64};
        case FieldKind::dtype:
            return {4, 5, 31, 36, 255, 0x10000, 0x80000000, 0xffffffff};
        case FieldKind::offset:
            return {1, 31, 33, 127, 129, sample.bytes.size() / 32 * 32, uint64_t{1} << 40, uint64_t{1} << 63, max64 - 31, max64};
        default:
            return {};
    }
}

std::string with_value(const SampleFile& sample, const Field& field, uint64_t value) {
    std::string bytes = sample.bytes;
    bytes.replace(field.at, field.bytes, reinterpret_cast<const char*>(&value), field.bytes);
    return bytes;
}

uint64_t value_of(const SampleFile& sample, const Field& field) {
    uint64_t value = 0;
    std::memcpy(&value, sample.bytes.data() + field.at, field.bytes);
    return value;
}

TEST_CASE("every field with a value that cannot be is refused") {
    const SampleFile sample = full_sample();
    REQUIRE(error_of(sample.bytes) == "");
    int n_variants = 0;
    for (const Field& field : sample.fields) {
        for (const uint64_t value : wrong_values(field, sample)) {
            CAPTURE(field.name);
            CAPTURE(value);
            const std::string message = error_of(with_value(sample, field, value));
            CHECK(message != "");
            // Counts must be refused where they stand, and not only when the bytes run out.
            if (field.kind == FieldKind::count || field.kind == FieldKind::length)
                CHECK(message.ends_with(", at byte " + std::to_string(field.at)));
            ++n_variants;
        }
    }
    CHECK(n_variants >= 500);
}

TEST_CASE("every field that is off by one, zero or one bit away is refused or read, and nothing else") {
    const SampleFile sample = full_sample();
    for (const Field& field : sample.fields) {
        if (field.bytes > 8) continue;
        const uint64_t value = value_of(sample, field);
        std::vector<uint64_t> others{0, value + 1, value - 1, value * 2, ~value};
        for (size_t bit = 0; bit < 8 * field.bytes; ++bit) others.push_back(value ^ uint64_t{1} << bit);
        for (const uint64_t other : others) error_of(with_value(sample, field, other));
    }
}

TEST_CASE("every prefix of a file is refused") {
    const SampleFile sample = full_sample();
    for (size_t n = 0; n < sample.bytes.size(); ++n) {
        CAPTURE(n);
        CHECK(error_of(std::string_view(sample.bytes).substr(0, n)) != "");
    }
}

TEST_CASE("a file cut inside its data says how much is missing and from which tensor on") {
    const SampleFile sample = full_sample();
    const std::string message = error_of(std::string_view(sample.bytes).substr(0, sample.field("data").at + 130));
    CHECK(message.find("tensor \"t.q4_0\": its data are not all there") != std::string::npos);
    CHECK(message.find("138 bytes are missing") != std::string::npos);
}

TEST_CASE("single-byte changes are refused or read, and nothing else") {
    const SampleFile sample = full_sample();
    const size_t header_bytes = sample.field("data").at;
    for (size_t at = 0; at < header_bytes; ++at) {
        for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            std::string bytes = sample.bytes;
            bytes[at] = static_cast<char>(value);
            error_of(bytes);
        }
    }
}

TEST_CASE("several random changes at once are refused or read, and nothing else") {
    const SampleFile sample = full_sample();
    std::mt19937 random(20240607);
    int n_refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string bytes = sample.bytes;
        const uint32_t n_changes = 1 + random() % 4;
        for (uint32_t i = 0; i < n_changes; ++i) bytes[random() % sample.field("data").at] = static_cast<char>(random());
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        n_refused += error_of(bytes) != "";
    }
    CHECK(n_refused > 1000);
}

TEST_CASE("a key or a tensor that stands twice is refused") {
    SampleFile keys = full_sample();
    keys.bytes[keys.field("a.i8 text").at + 2] = 'u';
    CHECK(error_of(keys.bytes).find("key \"a.u8\": stands twice") != std::string::npos);
    SampleFile tensors;
    tensors.start(3, 2, 0);
    tensors.tensor("same", {8}, 0, 0);
    tensors.tensor("same", {8}, 0, 32);
    tensors.pad(32);
    tensors.bytes.resize(tensors.bytes.size() + 64);
    CHECK(error_of(tensors.bytes).find("tensor \"same\": stands twice") != std::string::npos);
}

TEST_CASE("names that are empty, too long or no UTF-8 are refused") {
    const auto with_key = [](const std::string& name) {
        SampleFile f;
        f.start(3, 0, 1);
        f.number_key(name, 4, uint32_t{1});
        return error_of(f.bytes);
    };
    CHECK(with_key("good") == "");
    CHECK(with_key("gr\xc3\xbcn") == "");
    CHECK(with_key(std::string(65535, 'k')) == "");
    CHECK(with_key("") != "");
    CHECK(with_key(std::string(65536, 'k')) != "");
    for (const std::string name :
         {"\xff", "a\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80"})
        CHECK(with_key(name) != "");
    const auto with_tensor = [](const std::string& name) {
        SampleFile f;
        f.start(3, 1, 0);
        f.tensor(name, {8}, 0, 0);
        f.pad(32);
        f.bytes.resize(f.bytes.size() + 32);
        return error_of(f.bytes);
    };
    CHECK(with_tensor("good") == "");
    CHECK(with_tensor("") != "");
    CHECK(with_tensor("\xff") != "");
    CHECK(with_tensor(std::string(70000, 't')) != "");
}

TEST_CASE("names that would write to the terminal are escaped in messages") {
    SampleFile f;
    f.start(3, 0, 1);
    f.number_key("a\n\x1b[31m\xc2\x9b\xe2\x80\xae", 99, uint32_t{1});
    CHECK(error_of(f.bytes).find("key \"a\\n\\x1b[31m\\u009b\\u202e\"") != std::string::npos);
}

/// A file of one tensor with these dimensions (innermost first) and 4096 bytes of data.
std::string error_of_tensor(const std::vector<uint64_t>& dims, uint32_t dtype) {
    SampleFile f;
    f.start(3, 1, 0);
    f.tensor("t", dims, dtype, 0);
    f.pad(32);
    f.bytes.resize(f.bytes.size() + 4096);
    return error_of(f.bytes);
}

TEST_CASE("shapes whose products overflow are refused") {
    CHECK(error_of_tensor({1024}, 0) == "");
    CHECK(error_of_tensor({1025}, 0) != "");
    const uint64_t k = uint64_t{1} << 32;
    const std::vector<std::vector<uint64_t>> shapes{{k, k},
                                                    {k, k, 1},
                                                    {1, k, k},
                                                    {k, 1, 1, k},
                                                    {k / 2, k / 2, 4},
                                                    {k, k / 2},
                                                    {k, k / 2, 2},
                                                    {max64, 1},
                                                    {1, max64},
                                                    {max64, max64},
                                                    {max64, 2},
                                                    {uint64_t{1} << 61, 1},
                                                    {uint64_t{1} << 62, 4},
                                                    {3, max64 / 3},
                                                    {k / 2, k / 2},
                                                    {uint64_t{1} << 16, k, uint64_t{1} << 16}};
    for (const uint32_t dtype : {0u, 1u, 2u, 12u, 24u, 28u})
        for (const auto& shape : shapes) CHECK(error_of_tensor(shape, dtype) != "");
}

TEST_CASE("rows that are no whole blocks are refused") {
    for (const uint64_t n : {1u, 31u, 33u, 48u, 63u})
        CHECK(error_of_tensor({n}, 2).find("no whole blocks of 32, as Q4_0") != std::string::npos);
    for (const uint64_t n : {1u, 32u, 255u, 257u, 384u})
        CHECK(error_of_tensor({n, 2}, 12).find("no whole blocks of 256") != std::string::npos);
    CHECK(error_of_tensor({256, 2}, 12) == "");
    CHECK(error_of_tensor({128, 2}, 12) != "");
}

TEST_CASE("tensors that overlap are refused, in any order") {
    const auto with_offsets = [](uint64_t a, uint64_t b, uint64_t c) {
        SampleFile f;
        f.start(3, 3, 0);
        f.tensor("a", {16}, 0, a);
        f.tensor("b", {16}, 0, b);
        f.tensor("c", {16}, 0, c);
        f.pad(32);
        f.bytes.resize(f.bytes.size() + 256);
        return error_of(f.bytes);
    };
    CHECK(with_offsets(0, 64, 128) == "");
    CHECK(with_offsets(128, 0, 64) == "");
    CHECK(with_offsets(192, 96, 0) == "");
    CHECK(with_offsets(0, 0, 64).find("overlap") != std::string::npos);
    CHECK(with_offsets(0, 32, 128).find("tensor \"b\": its data overlap those of \"a\"") != std::string::npos);
    CHECK(with_offsets(128, 0, 32).find("overlap") != std::string::npos);
    CHECK(with_offsets(64, 128, 96).find("overlap") != std::string::npos);
    CHECK(with_offsets(0, 64, 224).find("32 bytes are missing") != std::string::npos);
}

/// An array nested `depth` times, the innermost one empty.
std::string error_of_nesting(int depth) {
    SampleFile f;
    f.start(3, 0, 1);
    f.key("bomb", 9);
    for (int i = 1; i < depth; ++i) f.array_start("a", 9, 1, 12);
    f.array_start("a", 0, 0, 1);
    return error_of(f.bytes);
}

TEST_CASE("arrays nested deeply are refused before the stack ends") {
    for (const int depth : {1, 2, 7, 8}) CHECK(error_of_nesting(depth) == "");
    for (const int depth : {9, 10, 100, 100000}) CHECK(error_of_nesting(depth).find("nested deeper than 8") != std::string::npos);
}

TEST_CASE("arrays that claim more than the file holds cost no memory") {
    for (const uint32_t type : {0u, 3u, 6u, 7u, 8u, 9u, 10u, 12u}) {
        for (const uint64_t count : {uint64_t{100}, uint64_t{1} << 20, uint64_t{1} << 32, uint64_t{1} << 60, uint64_t{1} << 61, max64}) {
            SampleFile f;
            f.start(3, 0, 1);
            f.key("bomb", 9);
            f.array_start("bomb", type, count, 1);
            f.bytes.resize(f.bytes.size() + 64);
            CHECK(error_of(f.bytes) != "");
        }
    }
    // Wide and nested: every inner array is empty, and the memory they take is still in proportion.
    SampleFile wide;
    wide.start(3, 0, 1);
    wide.key("wide", 9);
    wide.array_start("wide", 9, 20000, 12);
    for (int i = 0; i < 20000; ++i) wide.array_start("a", 0, 0, 1);
    CHECK(error_of(wide.bytes) == "");
}

TEST_CASE("the alignment must be a u32, and counts for every offset") {
    SampleFile text;
    text.start(3, 0, 1);
    text.key("general.alignment", 8);
    text.text("value", "32");
    CHECK(error_of(text.bytes).find("is string, not u32") != std::string::npos);
    for (const uint32_t type : {0u, 5u, 6u, 10u}) {
        SampleFile f;
        f.start(3, 0, 1);
        f.number_key("general.alignment", type, uint64_t{32});
        CHECK(error_of(f.bytes) != "");
    }
    for (const uint32_t alignment : {0u, 1u, 4u, 7u, 12u, 24u, 48u, 0xffffffffu}) {
        SampleFile f;
        f.start(3, 0, 1);
        f.number_key("general.alignment", 4, alignment);
        CHECK(error_of(f.bytes).find("is no power of two of at least 8") != std::string::npos);
    }
    const auto with = [](uint32_t alignment, uint64_t offset) {
        SampleFile f;
        f.start(3, 1, 1);
        f.number_key("general.alignment", 4, alignment);
        f.tensor("t", {8}, 0, offset);
        f.pad(alignment);
        f.bytes.resize(f.bytes.size() + 128);
        return error_of(f.bytes);
    };
    for (const uint32_t alignment : {8u, 16u, 64u, 4096u}) CHECK(with(alignment, 0) == "");
    CHECK(with(8, 8) == "");
    CHECK(with(64, 32).find("offset 32 is no multiple of the alignment 64") != std::string::npos);
    CHECK(with(64, 64) == "");
}

TEST_CASE("other kinds of file are told from a broken one") {
    CHECK(error_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\n").find("Git LFS pointer") != std::string::npos);
    CHECK(error_of("<!DOCTYPE html><html>").find("not a GGUF file: it begins with \"<!DO\"") != std::string::npos);
    CHECK(error_of(std::string("PK\3\4\0\0\0\0", 8)).find("not a GGUF file") != std::string::npos);
    CHECK(error_of(std::string("GGUF\0\0\0\3", 8)).find("big-endian") != std::string::npos);
    CHECK(error_of(std::string("GGUF\1\0\0\0", 8)).find("version 1 is not supported") != std::string::npos);
    CHECK(error_of(std::string("GGUF\4\0\0\0", 8)).find("version 4 is not known") != std::string::npos);
}

}  // namespace
}  // namespace quern
