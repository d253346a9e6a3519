#include "convert/quantize_type.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace quern {
namespace {

constexpr QuantizeType types[] = {
    {FileType::q4_0, "Q4_0", DType::q4_0, "4.5 bits per weight, plain blocks of 32"},
    {FileType::q4_1, "Q4_1", DType::q4_1, "5 bits, plain blocks with a minimum"},
    {FileType::q5_0, "Q5_0", DType::q5_0, "5.5 bits, plain blocks"},
    {FileType::q5_1, "Q5_1", DType::q5_1, "6 bits, plain blocks with a minimum"},
    {FileType::mxfp4_moe, "MXFP4_MOE", DType::mxfp4, "4.25 bits for the experts, Q8_0 for the rest"},
    {FileType::iq2_xxs, "IQ2_XXS", DType::iq2_xxs, "2.1 bits, code book; needs an importance matrix"},
    {FileType::iq2_xs, "IQ2_XS", DType::iq2_xs, "2.3 bits, code book; needs an importance matrix"},
    {FileType::iq2_s, "IQ2_S", DType::iq2_xs, "2.5 bits, code book; needs an importance matrix"},
    {FileType::iq2_m, "IQ2_M", DType::iq2_s, "2.7 bits, code book; needs an importance matrix"},
    {FileType::iq1_s, "IQ1_S", DType::iq1_s, "1.6 bits, code book; needs an importance matrix"},
    {FileType::iq1_m, "IQ1_M", DType::iq1_m, "1.8 bits, code book; needs an importance matrix"},
    {FileType::tq1_0, "TQ1_0", DType::tq1_0, "1.7 bits, ternary"},
    {FileType::tq2_0, "TQ2_0", DType::tq2_0, "2.1 bits, ternary"},
    {FileType::q2_k, "Q2_K", DType::q2_k, "2.6 bits and more where it matters"},
    {FileType::q2_k_s, "Q2_K_S", DType::q2_k, "2.6 bits; needs an importance matrix"},
    {FileType::iq3_xxs, "IQ3_XXS", DType::iq3_xxs, "3.1 bits, code book; needs an importance matrix"},
    {FileType::iq3_xs, "IQ3_XS", DType::iq3_s, "3.3 bits, code book; needs an importance matrix"},
    {FileType::iq3_s, "IQ3_S", DType::iq3_s, "3.4 bits, code book"},
    {FileType::iq3_m, "IQ3_M", DType::iq3_s, "3.7 bits, code book"},
    {FileType::q3_k_s, "Q3_K_S", DType::q3_k, "3.4 bits"},
    {FileType::q3_k_m, "Q3_K_M", DType::q3_k, "3.4 bits and more where it matters"},
    {FileType::q3_k_l, "Q3_K_L", DType::q3_k, "3.4 bits and still more where it matters"},
    {FileType::iq4_nl, "IQ4_NL", DType::iq4_nl, "4.5 bits, uneven steps"},
    {FileType::iq4_xs, "IQ4_XS", DType::iq4_xs, "4.25 bits, uneven steps"},
    {FileType::q4_k_s, "Q4_K_S", DType::q4_k, "4.5 bits"},
    {FileType::q4_k_m, "Q4_K_M", DType::q4_k, "4.5 bits and more where it matters: a good choice"},
    {FileType::q5_k_s, "Q5_K_S", DType::q5_k, "5.5 bits"},
    {FileType::q5_k_m, "Q5_K_M", DType::q5_k, "5.5 bits and more where it matters"},
    {FileType::q6_k, "Q6_K", DType::q6_k, "6.6 bits"},
    {FileType::q8_0, "Q8_0", DType::q8_0, "8.5 bits: hardly a difference"},
    {FileType::f16, "F16", DType::f16, "16 bits, half precision"},
    {FileType::bf16, "BF16", DType::bf16, "16 bits, the range of F32"},
    {FileType::f32, "F32", DType::f32, "32 bits"},
};

constexpr std::pair<std::string_view, std::string_view> aliases[] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool equals_in_any_case(std::string_view a, std::string_view upper) {
    return a.size() == upper.size() && std::equal(a.begin(), a.end(), upper.begin(), [](char x, char y) { return to_upper(x) == y; });
}

}  // namespace

std::span<const QuantizeType> all_quantize_types() { return types; }

std::optional<QuantizeType> find_quantize_type(std::string_view text) {
    for (const auto& [alias, name] : aliases)
        if (equals_in_any_case(text, alias)) text = name;
    int number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    for (const QuantizeType& type : types)
        if (is_number ? static_cast<int>(type.file_type) == number : equals_in_any_case(text, type.name)) return type;
    return std::nullopt;
}

}  // namespace quern
