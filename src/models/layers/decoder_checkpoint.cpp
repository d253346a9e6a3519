#include "models/layers/decoder_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

// Configs say `rope_scaling` with `type` or `rope_type`, newer ones `rope_parameters`; both hold the same.
std::string rope_type(const CheckpointConfig& config) {
    return config
        .string({"rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type", "rope_parameters.type",
                 "rope_parameters.full_attention.rope_type"})
        .value_or("default");
}

void set_rope_keys(const CheckpointKeys& keys) {
    const CheckpointConfig& config = keys.config;
    keys.real("rope.freq_base",
              {"rope_theta", "rope_parameters.rope_theta", "rope_parameters.full_attention.rope_theta", "rotary_emb_base"});
    const std::string type = rope_type(config);
    if (type == "default" || type == "llama3") return;                                // Llama 3's scaling is a tensor
    if ((type == "longrope" || type == "su") && keys.architecture == "phi3") return;  // Phi's too
    const bool yarn = type == "yarn";
    if (!yarn && type != "linear")
        config.fail(concat("rope scaling of the type ", quoted(type), " is not known here; quern knows default, linear, llama3 and yarn"));
    keys.set("rope.scaling.type", std::string_view(type));
    keys.real("rope.scaling.factor", {"rope_scaling.factor", "rope_parameters.factor", "rope_parameters.full_attention.factor"});
    if (!yarn) return;
    keys.integer("rope.scaling.original_context_length",
                 {"rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"});
    keys.real("rope.scaling.yarn_beta_fast", {"rope_scaling.beta_fast", "rope_parameters.beta_fast"});
    keys.real("rope.scaling.yarn_beta_slow", {"rope_scaling.beta_slow", "rope_parameters.beta_slow"});
    const auto magnitude = config.real({"rope_scaling.attention_factor", "rope_parameters.attention_factor"});
    const double factor = config.real({"rope_scaling.factor", "rope_parameters.factor"}).value_or(1.0);
    // GGUF's factor comes on top of the usual one, config.json's instead of it.
    if (magnitude)
        keys.set("rope.scaling.attn_factor", static_cast<float>(*magnitude / (factor > 1.0 ? 1.0 + 0.1 * std::log(factor) : 1.0)));
}

double require_real(const CheckpointConfig& config, std::string_view old_name, std::string_view new_name) {
    const auto value = config.real({old_name, new_name});
    if (!value || !(*value > 0.0 && *value < 1e12)) config.fail(concat(old_name, " is missing or not above 0"));
    return *value;
}

}  // namespace

void set_decoder_keys(const CheckpointKeys& keys) {
    constexpr std::string_view silu[] = {"silu", "swish"};
    set_decoder_keys(keys, silu);
}

void set_decoder_keys(const CheckpointKeys& keys, std::span<const std::string_view> activations) {
    const auto activation = keys.config.string({"hidden_activation", "hidden_act"});
    if (activation && std::find(activations.begin(), activations.end(), *activation) == activations.end())
        keys.config.fail(concat("hidden_act is ", quoted(*activation), "; of ", keys.architecture, " quern knows ", activations.front()));
    keys.require_integer("block_count", {"num_hidden_layers", "n_layers", "n_layer", "num_layers"});
    keys.require_integer("context_length",
                         {"max_position_embeddings", "n_ctx", "n_positions", "max_sequence_length", "seq_length", "model_max_length"});
    keys.require_integer("embedding_length", {"hidden_size", "n_embd", "dim"});
    keys.require_integer("feed_forward_length", {"intermediate_size", "n_inner", "hidden_dim"});
    keys.require_integer("attention.head_count", {"num_attention_heads", "n_heads", "n_head"});
    keys.integer("attention.head_count_kv", {"num_key_value_heads", "n_kv_heads"});
    keys.integer("attention.key_length", {"head_dim"});
    keys.integer("attention.value_length", {"head_dim"});
    keys.real("attention.layer_norm_rms_epsilon", {"rms_norm_eps", "norm_eps"});
    keys.real("attention.layer_norm_epsilon", {"layer_norm_eps", "norm_epsilon"});
    keys.integer("vocab_size", {"vocab_size"});
    keys.integer("expert_count", {"num_local_experts", "num_experts", "n_routed_experts"});
    keys.integer("expert_used_count", {"num_experts_per_tok"});
    keys.integer("expert_feed_forward_length", {"moe_intermediate_size"});
    keys.integer("expert_shared_feed_forward_length", {"shared_expert_intermediate_size"});
    const int64_t n_heads = keys.config.require_integer({"num_attention_heads", "n_heads", "n_head"});
    const int64_t n_embd = keys.config.require_integer({"hidden_size", "n_embd", "dim"});
    const int64_t head_dim = keys.config.integer({"head_dim"}).value_or(n_heads > 0 ? n_embd / n_heads : 0);
    const double rotated = keys.config.real({"partial_rotary_factor", "rope_parameters.partial_rotary_factor"}).value_or(1.0);
    if (!(rotated > 0.0 && rotated <= 1.0)) keys.config.fail("partial_rotary_factor is not between 0 and 1");
    if (head_dim > 0 && head_dim < (1 << 20))
        keys.set("rope.dimension_count", static_cast<uint32_t>(static_cast<double>(head_dim) * rotated));
    set_rope_keys(keys);
}

void refuse_sliding_window(const CheckpointConfig& config) {
    if (!config.boolean({"use_sliding_window"}).value_or(false) || !config.integer({"sliding_window"})) return;
    if (config.integer({"max_window_layers"}).value_or(0) < config.require_integer({"num_hidden_layers"}))
        config.fail("use_sliding_window is true: quern computes this family without windows, and GGUF has no place for them");
}

void require_windowed_layers(const CheckpointConfig& config, bool (*is_windowed)(int layer)) {
    if (!config.integer({"sliding_window"})) return;
    const std::vector<std::string> kinds = config.strings({"layer_types"});
    for (size_t i = 0; i < kinds.size(); ++i)
        if ((kinds[i] == "sliding_attention") != is_windowed(static_cast<int>(i)))
            config.fail(concat("layer_types: layer ", i, " is ", quoted(kinds[i]), ", which is not the order of this family in GGUF"));
}

Transform transform_of(HfForm form, const DecoderConfig& config) {
    switch (form) {
        case HfForm::same:
        case HfForm::stacked:
            return {};
        case HfForm::transposed:
            return transposed();
        case HfForm::plus_one:
            return plus_one();
        case HfForm::rotary_rows_q:
            return interleave_halves(config.n_heads);
        case HfForm::rotary_rows_k:
            return interleave_halves(config.n_kv_heads);
        case HfForm::even_rows:
            return every_second_column(0);
        case HfForm::odd_rows:
            return every_second_column(1);
        case HfForm::latent_keys:
            return latent_keys(config.latent.nope_dim, config.latent.value_dim);
        case HfForm::latent_values:
            return latent_values(config.latent.nope_dim, config.latent.value_dim);
    }
    throw InternalError("a form of weights without a transform");
}

void set_query_scale(const CheckpointKeys& keys) {
    const auto scalar = keys.config.real({"query_pre_attn_scalar"});
    if (!scalar) return;
    if (!(*scalar > 0.0 && *scalar < 1e12)) keys.config.fail("query_pre_attn_scalar is not above 0");
    if (keys.config.integer({"head_dim"}) != static_cast<int64_t>(*scalar))
        keys.set("attention.scale", static_cast<float>(1.0 / std::sqrt(*scalar)));
}

void add_llama3_frequencies(const GgufFile& keys, const CheckpointConfig& config, CheckpointTensors& tensors) {
    if (rope_type(config) != "llama3") return;
    const RopeConfig rope = read_decoder_config(keys, RopeStyle::adjacent).rope;
    const double factor = require_real(config, "rope_scaling.factor", "rope_parameters.factor");
    const double low = require_real(config, "rope_scaling.low_freq_factor", "rope_parameters.low_freq_factor");
    const double high = require_real(config, "rope_scaling.high_freq_factor", "rope_parameters.high_freq_factor");
    const double context =
        config.real({"rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"}).value_or(8192.0);
    std::vector<float> divisors;
    for (int i = 0; i < rope.n_dims / 2; ++i) {
        const double wavelength = 2.0 * std::numbers::pi * std::pow(static_cast<double>(rope.base), 2.0 * i / rope.n_dims);
        const double turns = context / wavelength;  // within the trained window
        double kept = turns > high ? 1.0 : turns < low ? 0.0 : (turns - low) / (high - low);
        divisors.push_back(static_cast<float>(1.0 / ((1.0 - kept) / factor + kept)));
    }
    const auto n = static_cast<int64_t>(divisors.size());
    tensors.add({.gguf = "rope_freqs.weight", .hf = {}, .shape = {n}, .values = std::move(divisors)});
}

}  // namespace quern
