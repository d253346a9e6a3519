// The number formats of GGUF tensors: their ids in the file, and how many values a block holds in how many bytes.
// Source: the GGUF specification's ggml_type table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quern {

/// Enumerators carry the id used in GGUF files.
enum class DType : uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q8_1 = 9,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    q8_k = 15,
    iq2_xxs = 16,
    iq2_xs = 17,
    iq3_xxs = 18,
    iq1_s = 19,
    iq4_nl = 20,
    iq3_s = 21,
    iq2_s = 22,
    iq4_xs = 23,
    i8 = 24,
    i16 = 25,
    i32 = 26,
    i64 = 27,
    f64 = 28,
    iq1_m = 29,
    bf16 = 30,
    tq1_0 = 34,
    tq2_0 = 35,
    mxfp4 = 39,
};

struct DTypeInfo {
    DType dtype;
    std::string_view name;  ///< upper case, as `quantize` spells it: "Q4_K"
    uint32_t block_size;    ///< values in a block
    uint32_t block_bytes;   ///< bytes of a block
};

/// The table of every known format.
std::span<const DTypeInfo> all_dtypes();

/// Facts of a known format.
const DTypeInfo& dtype_info(DType dtype);

/// The format with this id in a file, or nothing if no such format is known.
std::optional<DType> dtype_from_id(uint32_t id);

/// The format with this name, in any case, or nothing.
std::optional<DType> dtype_from_name(std::string_view name);

inline std::string_view dtype_name(DType dtype) { return dtype_info(dtype).name; }

/// Bytes of a row of `n` values. REQUIRES: n is a multiple of the block size.
uint64_t row_bytes(DType dtype, uint64_t n);

}  // namespace quern
