#include "convert/checkpoint/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>

#include "base/error.h"

using namespace quern;

namespace {

std::string file_of(const std::string& header, size_t n_data) {
    std::string file(8, '\0');
    const uint64_t n = header.size();
    std::memcpy(file.data(), &n, 8);
    return file + header + std::string(n_data, 'x');
}

std::vector<SourceTensor> read(const std::string& file) { return read_safetensors(std::as_bytes(std::span(file)), "f"); }

std::string complaint_about(const std::string& file) {
    try {
        read(file);
    } catch (const ModelError& error) {
        return error.what();
    }
    return "none";
}

std::string one(const std::string& entry) { return R"({"a":)" + entry + "}"; }

}  // namespace

TEST_CASE("a safetensors file gives its tensors") {
    const std::string file =
        file_of(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},)"
                R"("b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"c":{"dtype":"I64","shape":[0],"data_offsets":[4,4]}})",
                16);
    const auto tensors = read(file);
    REQUIRE(tensors.size() == 3);
    CHECK(tensors[0].name == "a");
    CHECK(tensors[0].dtype == DType::f16);
    CHECK(tensors[0].sizes == std::vector<int64_t>{2, 3});
    CHECK(tensors[0].bytes.size() == 12);
    CHECK(tensors[1].sizes.empty());
    CHECK_FALSE(tensors[2].dtype);
}

TEST_CASE("a safetensors header that lies is refused with the tensor's name") {
    CHECK(complaint_about(std::string(4, '\0')).find("header's length") != std::string::npos);
    CHECK(complaint_about(std::string(8, '\xFF')).find("claims") != std::string::npos);
    CHECK(complaint_about(file_of("[1]", 0)).find("no object") != std::string::npos);
    CHECK(complaint_about(file_of("{", 0)).find("no JSON") != std::string::npos);
    CHECK(complaint_about(file_of(std::string(1000, '['), 0)).find("too deeply") != std::string::npos);
    const auto entry_complaint = [](const std::string& entry) { return complaint_about(file_of(one(entry), 8)); };
    CHECK(entry_complaint("3").find("\"a\" lacks") != std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[2],"data_offsets":[0,12]})").find("claims bytes 0 to 12") != std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})").find("claims bytes") != std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})").find("but has 8 bytes") != std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F9","shape":[2],"data_offsets":[0,8]})").find("\"F9\"") != std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})").find("no list of sizes") != std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})").find("but has 0 bytes") !=
          std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})").find("no list of sizes") !=
          std::string::npos);
    CHECK(entry_complaint(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})").find("no two numbers") != std::string::npos);
    const std::string overlap =
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
    CHECK(complaint_about(file_of(overlap, 8)).find("overlaps") != std::string::npos);
}

TEST_CASE("every beginning of a safetensors file is refused or read, never a crash") {
    const std::string file = file_of(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), 8);
    for (size_t n = 0; n < file.size(); ++n) CHECK_THROWS_AS(read(file.substr(0, n)), ModelError);
    CHECK(read(file).size() == 1);
}
