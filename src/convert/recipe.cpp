#include "convert/recipe.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <utility>

#include "base/error.h"

namespace quern {
namespace {

using enum FileType;

enum class Kind { output, embedding, value, key, query, qkv, attention_output, down, gate, up, other };

/// A tensor's part in its layer, and where the layer stands.
struct Place {
    Kind kind = Kind::other;
    int64_t layer = 0, n_layers = 1;

    bool is_in_first(int64_t part) const { return layer < n_layers / part; }
    /// The first and last eighths, and every third layer between.
    bool is_weighty() const { return is_in_first(8) || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2; }
    bool is_in_the_middle() const { return layer >= n_layers / 8 && layer < 7 * n_layers / 8; }
};

bool contains(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

Kind kind_of(std::string_view name, bool has_output) {
    if (name == "output.weight" || (!has_output && name == "token_embd.weight")) return Kind::output;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Kind::embedding;
    constexpr std::pair<std::string_view, Kind> parts[] = {
        {"attn_v.weight", Kind::value},
        {"attn_k.weight", Kind::key},
        {"attn_q.weight", Kind::query},
        {"ffn_down", Kind::down},
        {"attn_output.weight", Kind::attention_output},
        {"attn_qkv.weight", Kind::qkv},
        {"ffn_gate", Kind::gate},
        {"ffn_up", Kind::up},
    };
    for (const auto& [part, kind] : parts)
        if (contains(name, part)) return kind;
    return Kind::other;
}

Place place_of(std::string_view name, const ModelFacts& model) {
    Place place{.kind = kind_of(name, model.has_output), .n_layers = std::max<int64_t>(1, model.n_layers)};
    if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), place.layer);
    return place;
}

bool is_any(FileType type, std::initializer_list<FileType> types) {
    for (const FileType each : types)
        if (each == type) return true;
    return false;
}

/// The recipes below three bits have rules of their own.
bool is_tiny(FileType type) { return is_any(type, {iq2_xxs, iq2_xs, iq2_s, iq2_m, iq1_s, iq1_m}); }
bool is_two_and_a_half(FileType type) { return is_any(type, {iq2_s, iq2_m}); }

DType output_dtype(FileType type, DType base, const ModelFacts& model, int64_t n_cols) {
    if (type == mxfp4_moe || base == DType::q8_0) return DType::q8_0;
    if (model.architecture == "falcon" || n_cols % dtype_info(base).block_size != 0) return DType::q8_0;
    return is_tiny(type) || type == iq3_xxs ? DType::q5_k : DType::q6_k;
}

DType embedding_dtype(FileType type, DType base) {
    if (is_any(type, {iq2_xxs, iq2_xs, iq1_s, iq1_m})) return DType::q2_k;
    if (is_any(type, {iq2_s, iq2_m, iq3_xxs})) return DType::iq3_s;
    if (is_any(type, {tq1_0, tq2_0})) return DType::q4_k;
    return base;
}

DType tiny_dtype(FileType type, DType base, const Place& place, const ModelFacts& model) {
    const DType better = is_two_and_a_half(type) ? DType::iq3_s : DType::q2_k;
    switch (place.kind) {
        case Kind::value:
            return model.heads_per_kv_head >= 4 || model.n_experts >= 4 ? DType::q4_k : better;
        case Kind::key:
            return model.n_experts == 8 ? DType::q4_k : base;
        case Kind::down:
            return place.is_in_first(8) ? better : base;
        case Kind::attention_output:
            if (model.n_experts == 8) return DType::q5_k;
            if (is_any(type, {iq1_s, iq1_m})) return DType::iq2_xxs;
            return is_two_and_a_half(type) ? DType::iq3_s : base;
        default:
            return base;
    }
}

DType plain_value_dtype(FileType type, DType base, const Place& place, const Recipe& recipe) {
    const bool shared_widely = recipe.model.heads_per_kv_head >= 4;
    switch (type) {
        case q2_k:
            return shared_widely ? DType::q4_k : DType::q3_k;
        case q2_k_s:
        case iq3_xs:
        case iq3_s:
            return shared_widely ? DType::q4_k : base;
        case iq3_xxs:
            return shared_widely ? DType::q4_k : recipe.has_importance ? DType::iq3_xxs : DType::iq3_s;
        case iq3_m:
            return DType::q4_k;
        case q3_k_m:
            return place.layer < 2 ? DType::q5_k : DType::q4_k;
        case q3_k_l:
            return DType::q5_k;
        case iq4_nl:
        case iq4_xs:
            return shared_widely ? DType::q5_k : base;
        case q4_k_m:
        case q5_k_m:
            return place.is_weighty() ? DType::q6_k : base;
        case q4_k_s:
            return place.layer < 4 ? DType::q5_k : base;
        default:
            return base;
    }
}

DType value_dtype(FileType type, DType base, const Place& place, const Recipe& recipe) {
    if (recipe.model.n_experts == 8) return DType::q8_0;
    const DType dtype = plain_value_dtype(type, base, place, recipe);
    return recipe.model.is_70b && (dtype == DType::q3_k || dtype == DType::q4_k) ? DType::q5_k : dtype;
}

DType query_or_key_dtype(FileType type, DType base, const Place& place, const ModelFacts& model) {
    if (place.kind == Kind::key && model.n_experts == 8) return DType::q8_0;
    if (type == iq3_xs) return DType::iq3_xxs;
    return type == iq3_xxs ? DType::iq2_s : base;
}

DType down_dtype(FileType type, DType base, const Place& place, const Recipe& recipe) {
    const bool is_falcon = recipe.model.architecture == "falcon";
    const bool first = place.is_in_first(8);
    switch (type) {
        case q2_k:
            return DType::q3_k;
        case q2_k_s:
            return first ? DType::q4_k : base;
        case iq3_xxs:
            return recipe.has_importance ? base : first ? DType::q4_k : DType::q3_k;
        case q3_k_m:
            if (place.is_in_first(16)) return DType::q5_k;
            return !is_falcon || place.is_weighty() ? DType::q4_k : DType::q3_k;
        case iq3_m:
            return first || (recipe.model.n_experts == 8 && place.is_weighty()) ? DType::q4_k : base;
        case q3_k_l:
            return is_falcon ? DType::q4_k : DType::q5_k;
        case q4_k_m:
            if (is_falcon) return place.is_in_first(16) ? DType::q6_k : place.is_weighty() ? DType::q5_k : DType::q4_k;
            return place.is_weighty() ? DType::q6_k : base;
        case q5_k_m:
            return place.is_weighty() ? DType::q6_k : base;
        case iq4_nl:
        case iq4_xs:
            return first && !recipe.has_importance ? DType::q5_k : base;
        case q4_k_s:
            return first && !is_falcon ? DType::q5_k : base;
        case q4_0:
            return first && recipe.has_importance ? DType::q4_1 : base;
        case q5_0:
            return first && recipe.has_importance ? DType::q5_1 : base;
        default:
            return base;
    }
}

DType attention_output_dtype(FileType type, DType base, const ModelFacts& model) {
    if (model.architecture == "falcon") return type == q3_k_l ? DType::q4_k : base;
    if (model.n_experts == 8) {
        const bool raised = is_any(type, {q2_k, iq3_xs, iq3_xxs, q3_k_s, q3_k_m, iq4_nl, q4_k_s, q4_k_m, iq3_s, iq3_m, iq4_xs});
        return raised ? DType::q5_k : base;
    }
    switch (type) {
        case q2_k:
            return DType::q3_k;
        case iq3_xxs:
            return DType::iq3_s;
        case q3_k_m:
        case iq3_m:
            return DType::q4_k;
        case q3_k_l:
            return DType::q5_k;
        default:
            return base;
    }
}

DType qkv_dtype(FileType type, DType base) {
    if (is_any(type, {q3_k_m, q3_k_l, iq3_m})) return DType::q4_k;
    if (type == q4_k_m) return DType::q5_k;
    return type == q5_k_m ? DType::q6_k : base;
}

}  // namespace

ModelFacts model_facts(const GgufFile& file) {
    const Metadata& metadata = file.metadata();
    ModelFacts facts;
    facts.architecture = std::string(metadata.string("general.architecture").value_or(""));
    const auto number = [&](std::string_view key) { return metadata.integer(concat(facts.architecture, ".", key)).value_or(0); };
    facts.n_layers = number("block_count");
    // Some models have one entry for each layer; the first stands for all.
    const auto first_of = [&](std::string_view key) -> int64_t {
        const std::string full = concat(facts.architecture, ".", key);
        const MetadataValue* value = metadata.find(full);
        if (!value) return 0;
        if (type_of(*value) != MetadataType::array) return metadata.integer(full).value_or(0);
        const std::vector<int64_t> all = metadata.integers(full);
        return all.empty() ? 0 : all.front();
    };
    const int64_t heads = first_of("attention.head_count"), kv_heads = first_of("attention.head_count_kv");
    facts.heads_per_kv_head = kv_heads > 0 ? heads / kv_heads : 1;
    facts.n_experts = number("expert_count");
    facts.has_output = file.find_tensor("output.weight") != nullptr;
    facts.is_70b = facts.architecture == "llama" && facts.n_layers == 80 && heads != kv_heads;
    return facts;
}

DType Recipe::dtype_for(std::string_view name, int64_t n_cols, int64_t n_matrices) const {
    const FileType file_type = type.file_type;
    const DType base = type.dtype;
    const Place place = place_of(name, model);
    if (base == DType::f32 || base == DType::f16 || base == DType::bf16) return base;
    if (place.kind == Kind::output) return output_dtype(file_type, base, model, n_cols);
    if (file_type == mxfp4_moe) return n_matrices > 1 ? DType::mxfp4 : DType::q8_0;
    if (place.kind == Kind::embedding) return embedding_dtype(file_type, base);
    if (is_tiny(file_type)) return tiny_dtype(file_type, base, place, model);
    switch (place.kind) {
        case Kind::value:
            return value_dtype(file_type, base, place, *this);
        case Kind::key:
        case Kind::query:
            return query_or_key_dtype(file_type, base, place, model);
        case Kind::down:
            return down_dtype(file_type, base, place, *this);
        case Kind::attention_output:
            return attention_output_dtype(file_type, base, model);
        case Kind::qkv:
            return qkv_dtype(file_type, base);
        case Kind::gate:
        case Kind::up:
            return file_type == iq3_xs && place.is_in_the_middle() ? DType::iq3_xxs : base;
        default:
            return base;
    }
}

DType dtype_that_fits(DType wanted, int64_t n_cols) {
    const auto fits = [n_cols](DType dtype) { return n_cols % static_cast<int64_t>(dtype_info(dtype).block_size) == 0; };
    if (fits(wanted)) return wanted;
    DType other = DType::f16;
    switch (wanted) {
        case DType::tq1_0:
        case DType::tq2_0:
        case DType::q2_k:
        case DType::q3_k:
            other = DType::q4_0;
            break;
        case DType::q4_k:
            other = DType::q5_0;
            break;
        case DType::q5_k:
            other = DType::q5_1;
            break;
        case DType::q6_k:
            other = DType::q8_0;
            break;
        default:
            if (dtype_info(wanted).block_size == 256) other = DType::iq4_nl;
    }
    return fits(other) ? other : DType::f16;
}

bool needs_importance(DType dtype, FileType file_type, std::string_view tensor) {
    switch (dtype) {
        case DType::iq2_xxs:
        case DType::iq2_xs:
        case DType::iq2_s:
        case DType::iq3_xxs:
        case DType::iq1_s:
            return true;
        case DType::iq1_m:
            return tensor != "token_embd.weight" && tensor != "output.weight";
        case DType::q2_k:
            return file_type == q2_k_s && tensor != "token_embd.weight";
        default:
            return false;
    }
}

}  // namespace quern
