// Decoding against the published package's own results (tests/golden/quant_decode.bin, made by scripts/make_golden_quant.py).
#include "kernels/quant/decode.h"

#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <set>
#include <vector>

namespace quern {
namespace {

struct GoldenFormat {
    DType dtype;
    std::vector<std::byte> blocks;
    std::vector<float> values;
};

std::vector<GoldenFormat> read_golden() {
    std::ifstream file(QUERN_TEST_DATA "/quant_decode.bin", std::ios::binary);
    std::vector<GoldenFormat> out;
    uint32_t header[3];
    while (file.read(reinterpret_cast<char*>(header), sizeof header)) {
        GoldenFormat& format = out.emplace_back();
        format.dtype = static_cast<DType>(header[0]);
        format.blocks.resize(header[1]);
        format.values.resize(header[2]);
        file.read(reinterpret_cast<char*>(format.blocks.data()), static_cast<std::streamsize>(header[1]));
        file.read(reinterpret_cast<char*>(format.values.data()), static_cast<std::streamsize>(header[2] * sizeof(float)));
    }
    return out;
}

}  // namespace

TEST_CASE("every format decodes to the bits that its published package gives") {
    const std::vector<GoldenFormat> formats = read_golden();
    CHECK(formats.size() == 25);
    for (const GoldenFormat& format : formats) {
        CAPTURE(dtype_name(format.dtype));
        const DecodeKernel decode = decode_for(format.dtype);
        REQUIRE((decode != nullptr));
        REQUIRE(row_bytes(format.dtype, format.values.size()) == format.blocks.size());
        std::vector<float> values(format.values.size());
        decode(format.blocks.data(), values.data(), static_cast<int64_t>(values.size()));
        size_t differing = 0;
        for (size_t i = 0; i < values.size(); ++i) differing += std::memcmp(&values[i], &format.values[i], sizeof(float)) != 0;
        CHECK(differing == 0);
    }
}

TEST_CASE("formats without arithmetic have no decoder") {
    for (const DType dtype : {DType::i32, DType::q8_1, DType::q8_k, DType::f64}) CHECK((decode_for(dtype) == nullptr));
}

}  // namespace quern
