#include "models/phi3.h"

#include <cmath>

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<Phi3Layer>> Phi3Layer::table(const DecoderConfig& c) {
    return {
        {&Phi3Layer::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&Phi3Layer::wqkv, "attn_qkv.weight", "self_attn.qkv_proj.weight", {c.q_width() + 2 * c.kv_width(), c.n_embd}},
        {&Phi3Layer::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&Phi3Layer::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&Phi3Layer::gate_up, "ffn_up.weight", "mlp.gate_up_proj.weight", {2 * c.n_ff, c.n_embd}},
        {&Phi3Layer::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}},
    };
}

Phi3::Phi3(const GgufFile& file)
    : Decoder(file, RopeStyle::halves),
      short_frequencies_(rope_frequencies(config_.rope, read_factors(file, "rope_factors_short.weight", config_))),
      long_frequencies_(rope_frequencies(config_.rope, read_factors(file, "rope_factors_long.weight", config_))) {
    require_no_experts(file, config_);
}

// The factors of long windows hold from the first token on: keys in the cache cannot change their angles later.
std::vector<Rope> Phi3::ropes(int64_t n_ctx) const {
    return {{n_ctx > config_.rope.original_context ? long_frequencies_ : short_frequencies_, config_.rope.style}};
}

Tensor Phi3::forward(Graph& g, const Phi3Layer& w, Tensor x, int layer, int rope) const {
    const TensorView gate = rows_of(w.gate_up, 0, config_.n_ff), up = rows_of(w.gate_up, config_.n_ff, config_.n_ff);
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, swiglu_feed_forward(g, gate, up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor Phi3::attention(Graph& g, const Phi3Layer& w, Tensor x, int layer, int rope) const {
    const int64_t nq = config_.q_width(), nkv = config_.kv_width();
    const Tensor q = g.rope(g.heads(g.matmul(rows_of(w.wqkv, 0, nq), x), config_.n_heads), rope);       // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(g.matmul(rows_of(w.wqkv, nq, nkv), x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(g.matmul(rows_of(w.wqkv, nq + nkv, nkv), x), config_.n_kv_heads);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale, .window = config_.window}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view phi3_classes[] = {"Phi3ForCausalLM"};

void set_phi3_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    keys.integer("attention.sliding_window", {"sliding_window"});
    const CheckpointConfig& config = keys.config;
    const auto trained = config.integer({"original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"});
    if (!trained || *trained < 2) return;
    keys.integer("rope.scaling.original_context_length",
                 {"original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"});
    // As published: the attention grows with the window, unless the config says by how much.
    const double stretch = static_cast<double>(config.require_integer({"max_position_embeddings"})) / static_cast<double>(*trained);
    const double magnitude = stretch > 1.0 ? std::sqrt(1.0 + std::log(stretch) / std::log(static_cast<double>(*trained))) : 1.0;
    keys.set("rope.scaling.attn_factor",
             static_cast<float>(config.real({"rope_scaling.attention_factor", "rope_parameters.attention_factor"}).value_or(magnitude)));
}

void add_factors(const char* name, CheckpointConfig::Names entries, const CheckpointConfig& config, CheckpointTensors& tensors) {
    const std::vector<double> factors = config.reals(entries);
    if (factors.empty()) return;
    tensors.add({.gguf = name,
                 .hf = {},
                 .shape = {static_cast<int64_t>(factors.size())},
                 .transform = {},
                 .values = std::vector<float>(factors.begin(), factors.end())});
}

void list_phi3_tensors(const GgufFile& keys, const CheckpointConfig& config, CheckpointTensors& tensors) {
    add_factors("rope_factors_long.weight", {"rope_scaling.long_factor", "rope_parameters.long_factor"}, config, tensors);
    add_factors("rope_factors_short.weight", {"rope_scaling.short_factor", "rope_parameters.short_factor"}, config, tensors);
    list_decoder_tensors<Phi3Layer>(read_decoder_config(keys, RopeStyle::halves), tensors);
}

}  // namespace

const CheckpointFormat Phi3::checkpoint{.classes = phi3_classes, .set_keys = set_phi3_keys, .list_tensors = list_phi3_tensors};

}  // namespace quern
