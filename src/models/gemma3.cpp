#include "models/gemma3.h"

#include <cmath>

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/key_reader.h"

namespace quern {

std::vector<WeightRow<Gemma3Layer>> Gemma3Layer::table(const DecoderConfig& c) {
    using enum Presence;
    using L = Gemma3Layer;
    return {
        {&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&L::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&L::q_norm, "attn_q_norm.weight", "self_attn.q_norm.weight", {c.head_dim}, required, HfForm::plus_one},
        {&L::k_norm, "attn_k_norm.weight", "self_attn.k_norm.weight", {c.head_dim}, required, HfForm::plus_one},
        {&L::attn_post_norm, "post_attention_norm.weight", "post_attention_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&L::ffn_norm, "ffn_norm.weight", "pre_feedforward_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&L::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
        {&L::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
        {&L::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}},
        {&L::ffn_post_norm, "post_ffw_norm.weight", "post_feedforward_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
    };
}

std::vector<WeightRow<DecoderWeights>> Gemma3Layer::outer_table(const DecoderConfig& c) { return gemma_outer_table(c); }

// As in Gemma 2, the 27B model (62 layers) scales scores by the width per head.
DecoderConfig Gemma3::read_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    if (config.n_layers == 62 && !KeyReader(file).has("attention.scale"))
        config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.n_embd) / static_cast<float>(config.n_heads));
    return config;
}

// The window's layers turn by the base that files rarely name, and are never stretched.
Gemma3::Gemma3(const GgufFile& file) : Decoder(file, read_config(file)) {
    require_no_experts(file, config_);
    RopeConfig local = config_.rope;
    local.base = KeyReader(file).real("rope.freq_base_swa", 10000.0, 1.0, 1e12);
    local.scaling = RopeScaling::none;
    local_frequencies_ = rope_frequencies(local, {});
}

std::vector<Rope> Gemma3::ropes(int64_t) const { return {{frequencies_, config_.rope.style}, {local_frequencies_, config_.rope.style}}; }

Tensor Gemma3::embed(Graph& g) const { return scaled_embedding(g, weights_.token_embd); }

Tensor Gemma3::forward(Graph& g, const Gemma3Layer& w, Tensor x, int layer, int rope) const {
    const Tensor attended = attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope);
    x = g.add(x, g.rms_norm(attended, w.attn_post_norm, config_.norm_eps));
    const Tensor fed = geglu_feed_forward(g, w.gate, w.up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps));
    return g.add(x, g.rms_norm(fed, w.ffn_post_norm, config_.norm_eps));
}

Tensor Gemma3::attention(Graph& g, const Gemma3Layer& w, Tensor x, int layer, int rope) const {
    Tensor q = g.heads(g.matmul(w.wq, x), config_.n_heads);           // [n_tokens, n_heads, head_dim]
    Tensor k = g.heads(g.matmul(w.wk, x), config_.n_kv_heads);        // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(g.matmul(w.wv, x), config_.n_kv_heads);  // likewise
    q = g.rope(g.rms_norm(q, w.q_norm, config_.norm_eps), rope);
    k = g.rope(g.rms_norm(k, w.k_norm, config_.norm_eps), rope);
    const Attention how{
        .scale = config_.attention_scale, .window = is_local(layer) ? config_.window : 0, .softcap = config_.attention_softcap};
    return g.matmul(w.wo, g.attend(q, k, v, layer, how));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view gemma3_classes[] = {"Gemma3ForCausalLM", "Gemma3TextForCausalLM", "Gemma3ForConditionalGeneration"};

// Always tied; of a model that sees, only the part that reads.
constexpr std::string_view gemma3_ignored[] = {"lm_head.weight", "vision_tower.", "multi_modal_projector."};
constexpr std::string_view gemma3_prefixes[] = {"language_model.", "model.language_model."};

void set_gemma3_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys, tanh_gelu);
    require_windowed_layers(keys.config, [](int layer) { return layer % 6 < 5; });
    keys.real("attn_logit_softcapping", {"attn_logit_softcapping"});
    keys.real("final_logit_softcapping", {"final_logit_softcapping"});
    keys.integer("attention.sliding_window", {"sliding_window"});
    keys.real("rope.freq_base_swa", {"rope_local_base_freq", "rope_parameters.sliding_attention.rope_theta"});
    set_query_scale(keys);
}

}  // namespace

const CheckpointFormat Gemma3::checkpoint{.classes = gemma3_classes,
                                          .set_keys = set_gemma3_keys,
                                          .list_tensors = list_plain_decoder<Gemma3Layer, RopeStyle::halves>,
                                          .optional_prefixes = gemma3_prefixes,
                                          .ignored = gemma3_ignored};

}  // namespace quern
