// What a user asks `quern quantize` for: the names of whole-model recipes, such as Q4_K_M.
// Source: the GGUF specification's general.file_type, and the names that llama.cpp's users know.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "tensor/dtype.h"

namespace quern {

/// Enumerators carry the value of general.file_type.
enum class FileType : int {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q8_0 = 7,
    q5_0 = 8,
    q5_1 = 9,
    q2_k = 10,
    q3_k_s = 11,
    q3_k_m = 12,
    q3_k_l = 13,
    q4_k_s = 14,
    q4_k_m = 15,
    q5_k_s = 16,
    q5_k_m = 17,
    q6_k = 18,
    iq2_xxs = 19,
    iq2_xs = 20,
    q2_k_s = 21,
    iq3_xs = 22,
    iq3_xxs = 23,
    iq1_s = 24,
    iq4_nl = 25,
    iq3_s = 26,
    iq3_m = 27,
    iq2_s = 28,
    iq2_m = 29,
    iq4_xs = 30,
    iq1_m = 31,
    bf16 = 32,
    tq1_0 = 36,
    tq2_0 = 37,
    mxfp4_moe = 38,
};

struct QuantizeType {
    FileType file_type;
    std::string_view name;   ///< as --help lists it: "Q4_K_M"
    DType dtype;             ///< of the tensors for which the recipe says nothing else
    std::string_view about;  ///< a few words for --help
};

/// Every type, in the order of --help.
std::span<const QuantizeType> all_quantize_types();

/// By name in any case, by alias (Q3_K, Q4_K, Q5_K mean the _M ones) or by number. Nothing if there is none such.
std::optional<QuantizeType> find_quantize_type(std::string_view text);

}  // namespace quern
