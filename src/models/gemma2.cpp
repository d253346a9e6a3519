#include "models/gemma2.h"

#include <cmath>

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/key_reader.h"

namespace quern {

std::vector<WeightRow<Gemma2Layer>> Gemma2Layer::table(const DecoderConfig& c) {
    using enum Presence;
    using L = Gemma2Layer;
    return {
        {&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&L::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&L::attn_post_norm, "post_attention_norm.weight", "post_attention_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&L::ffn_norm, "ffn_norm.weight", "pre_feedforward_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&L::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
        {&L::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
        {&L::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}},
        {&L::ffn_post_norm, "post_ffw_norm.weight", "post_feedforward_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
    };
}

std::vector<WeightRow<DecoderWeights>> Gemma2Layer::outer_table(const DecoderConfig& c) { return gemma_outer_table(c); }

// The 27B model, told by its depth, scales scores by the width per head instead of the head's own size. No key of GGUF says so.
DecoderConfig Gemma2::read_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    const KeyReader keys(file);
    if (config.n_layers == 46 && !keys.has("attention.scale"))
        config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.n_embd) / static_cast<float>(config.n_heads));
    if (!keys.has("attention.sliding_window")) config.window = 4096;
    config.attention_softcap = keys.real("attn_logit_softcapping", 50.0, 0.0, 1e6);
    config.final_softcap = keys.real("final_logit_softcapping", 30.0, 0.0, 1e6);
    return config;
}

Tensor Gemma2::embed(Graph& g) const { return scaled_embedding(g, weights_.token_embd); }

Tensor Gemma2::forward(Graph& g, const Gemma2Layer& w, Tensor x, int layer, int rope) const {
    const Tensor attended = attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope);
    x = g.add(x, g.rms_norm(attended, w.attn_post_norm, config_.norm_eps));
    const Tensor fed = geglu_feed_forward(g, w.gate, w.up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps));
    return g.add(x, g.rms_norm(fed, w.ffn_post_norm, config_.norm_eps));
}

Tensor Gemma2::attention(Graph& g, const Gemma2Layer& w, Tensor x, int layer, int rope) const {
    const Tensor q = g.rope(g.heads(g.matmul(w.wq, x), config_.n_heads), rope);     // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(g.matmul(w.wk, x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(g.matmul(w.wv, x), config_.n_kv_heads);
    const Attention how{
        .scale = config_.attention_scale, .window = layer % 2 == 0 ? config_.window : 0, .softcap = config_.attention_softcap};
    return g.matmul(w.wo, g.attend(q, k, v, layer, how));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view gemma2_classes[] = {"Gemma2ForCausalLM"};

constexpr std::string_view gemma2_ignored[] = {"lm_head.weight"};  // always tied

void set_gemma2_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys, tanh_gelu);
    require_windowed_layers(keys.config, [](int layer) { return layer % 2 == 0; });
    keys.integer("attention.sliding_window", {"sliding_window"});
    keys.real("attn_logit_softcapping", {"attn_logit_softcapping"});
    keys.real("final_logit_softcapping", {"final_logit_softcapping"});
    for (const char* cap : {"attn_logit_softcapping", "final_logit_softcapping"})
        if (keys.config.is_null(cap)) keys.set(cap, 0.0f);
    set_query_scale(keys);
}

}  // namespace

const CheckpointFormat Gemma2::checkpoint{.classes = gemma2_classes,
                                          .set_keys = set_gemma2_keys,
                                          .list_tensors = list_plain_decoder<Gemma2Layer, RopeStyle::halves>,
                                          .ignored = gemma2_ignored};

}  // namespace quern
