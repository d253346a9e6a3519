#include "convert/recipe.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"

namespace quern {
namespace {

/// "layers=20 heads_per_kv_head=4 experts=0 output=1"
ModelFacts read_facts(std::istringstream& line) {
    ModelFacts facts{.architecture = "llama"};
    for (std::string word; line >> word;) {
        const int64_t value = std::stoll(word.substr(word.find('=') + 1));
        if (word.starts_with("layers=")) facts.n_layers = value;
        if (word.starts_with("heads_per")) facts.heads_per_kv_head = value;
        if (word.starts_with("experts=")) facts.n_experts = value;
        if (word.starts_with("output=")) facts.has_output = value == 1;
    }
    return facts;
}

/// "Q6_K*2,Q4_K" as one format for each layer.
std::vector<DType> read_formats(const std::string& text) {
    std::vector<DType> formats;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        const size_t star = part.find('*');
        const int n = star == std::string::npos ? 1 : std::stoi(part.substr(star + 1));
        formats.insert(formats.end(), static_cast<size_t>(n), dtype_from_name(part.substr(0, star)).value());
    }
    return formats;
}

DType chosen(const Recipe& recipe, const std::string& name) {
    const bool is_expert = name.find("_exps") != std::string::npos;
    return recipe.dtype_for(name, 256, is_expert ? 8 : 1);
}

}  // namespace

TEST_CASE("every recipe gives each tensor the format that llama.cpp gives it") {
    std::ifstream file(QUERN_TEST_DATA "/quantize_recipes.txt");
    REQUIRE(file.good());
    ModelFacts facts;
    int n_checked = 0;
    for (std::string text; std::getline(file, text);) {
        if (text.starts_with('#')) continue;
        CAPTURE(text);
        std::istringstream line(text);
        std::string importance, type, tensor, formats;
        line >> importance;
        if (importance == "model") {
            facts = read_facts(line);
            continue;
        }
        line >> type >> tensor >> formats;
        const Recipe recipe{.type = find_quantize_type(type).value(), .model = facts, .has_importance = importance == "1"};
        if (tensor == "refused") {
            bool refused = false;
            for (const char* name : {"blk.0.attn_k.weight", "blk.4.ffn_up.weight", "blk.4.ffn_up_exps.weight"})
                refused = refused || needs_importance(chosen(recipe, name), recipe.type.file_type, name);
            CHECK(refused);
        } else if (tensor == "*") {
            for (const char* name : {"token_embd.weight", "blk.0.attn_v.weight", "blk.3.ffn_down.weight"})
                CHECK(chosen(recipe, name) == read_formats(formats).front());
        } else if (tensor.starts_with("blk.*.")) {
            const std::vector<DType> expected = read_formats(formats);
            CHECK(static_cast<int64_t>(expected.size()) == facts.n_layers);
            for (size_t layer = 0; layer < expected.size(); ++layer)
                CHECK(chosen(recipe, concat("blk.", layer, tensor.substr(5))) == expected[layer]);
        } else {
            CHECK(chosen(recipe, tensor) == read_formats(formats).front());
        }
        ++n_checked;
    }
    CHECK(n_checked > 1000);
}

TEST_CASE("a format whose blocks do not divide a row gives way to one whose blocks do") {
    CHECK(dtype_that_fits(DType::q4_k, 512) == DType::q4_k);
    CHECK(dtype_that_fits(DType::q4_k, 576) == DType::q5_0);
    CHECK(dtype_that_fits(DType::q5_k, 576) == DType::q5_1);
    CHECK(dtype_that_fits(DType::q6_k, 576) == DType::q8_0);
    CHECK(dtype_that_fits(DType::q3_k, 576) == DType::q4_0);
    CHECK(dtype_that_fits(DType::iq2_xs, 576) == DType::iq4_nl);
    CHECK(dtype_that_fits(DType::tq1_0, 576) == DType::q4_0);
    CHECK(dtype_that_fits(DType::q4_k, 100) == DType::f16);
    CHECK(dtype_that_fits(DType::q8_0, 33) == DType::f16);
    CHECK(dtype_that_fits(DType::bf16, 33) == DType::bf16);
}

TEST_CASE("types are found by name in any case, by alias and by number") {
    CHECK(find_quantize_type("q4_k_m")->file_type == FileType::q4_k_m);
    CHECK(find_quantize_type("Q4_K")->file_type == FileType::q4_k_m);
    CHECK(find_quantize_type("q3_k")->file_type == FileType::q3_k_m);
    CHECK(find_quantize_type("15")->name == "Q4_K_M");
    CHECK(find_quantize_type("iq2_s")->dtype == DType::iq2_xs);
    for (const char* none : {"", "Q4", "99", "-1", "15x", "Q4_K_MM"}) {
        CAPTURE(none);
        CHECK(!find_quantize_type(none));
    }
    for (const QuantizeType& type : all_quantize_types()) CHECK(find_quantize_type(type.name)->file_type == type.file_type);
}

}  // namespace quern
