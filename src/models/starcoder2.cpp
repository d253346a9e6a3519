#include "models/starcoder2.h"

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<StarCoder2Layer>> StarCoder2Layer::table(const DecoderConfig& c) {
    using L = StarCoder2Layer;
    return {
        {&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&L::attn_norm_bias, "attn_norm.bias", "input_layernorm.bias", {c.n_embd}},
        {&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&L::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&L::bq, "attn_q.bias", "self_attn.q_proj.bias", {c.q_width()}, Presence::optional},
        {&L::bk, "attn_k.bias", "self_attn.k_proj.bias", {c.kv_width()}, Presence::optional},
        {&L::bv, "attn_v.bias", "self_attn.v_proj.bias", {c.kv_width()}, Presence::optional},
        {&L::bo, "attn_output.bias", "self_attn.o_proj.bias", {c.n_embd}, Presence::optional},
        {&L::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&L::ffn_norm_bias, "ffn_norm.bias", "post_attention_layernorm.bias", {c.n_embd}},
        {&L::up, "ffn_up.weight", "mlp.c_fc.weight", {c.n_ff, c.n_embd}},
        {&L::up_bias, "ffn_up.bias", "mlp.c_fc.bias", {c.n_ff}, Presence::optional},
        {&L::down, "ffn_down.weight", "mlp.c_proj.weight", {c.n_embd, c.n_ff}},
        {&L::down_bias, "ffn_down.bias", "mlp.c_proj.bias", {c.n_embd}, Presence::optional},
    };
}

std::vector<WeightRow<DecoderWeights>> StarCoder2Layer::outer_table(const DecoderConfig& c) {
    std::vector<WeightRow<DecoderWeights>> table = DecoderWeights::table(c);
    table.push_back({&DecoderWeights::output_norm_bias, "output_norm.bias", "model.norm.bias", {c.n_embd}});
    return table;
}

Tensor StarCoder2::final_norm(Graph& g, Tensor x) const {
    return g.layer_norm(x, weights_.output_norm, weights_.output_norm_bias, config_.norm_eps);
}

Tensor StarCoder2::forward(Graph& g, const StarCoder2Layer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.layer_norm(x, w.attn_norm, w.attn_norm_bias, config_.norm_eps), layer, rope));
    const Tensor h = g.layer_norm(x, w.ffn_norm, w.ffn_norm_bias, config_.norm_eps);
    const Tensor up = g.activate(linear(g, w.up, w.up_bias, h), {ActivationKind::gelu_tanh});  // [n_tokens, n_ff]
    return g.add(x, linear(g, w.down, w.down_bias, up));
}

Tensor StarCoder2::attention(Graph& g, const StarCoder2Layer& w, Tensor x, int layer, int rope) const {
    const Tensor q = g.rope(g.heads(linear(g, w.wq, w.bq, x), config_.n_heads), rope);     // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(linear(g, w.wk, w.bk, x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(linear(g, w.wv, w.bv, x), config_.n_kv_heads);
    const Attention how{.scale = config_.attention_scale, .window = config_.window};
    return linear(g, w.wo, w.bo, g.attend(q, k, v, layer, how));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view starcoder2_classes[] = {"Starcoder2ForCausalLM"};

void set_starcoder2_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys, tanh_gelu);
    keys.integer("attention.sliding_window", {"sliding_window"});
}

}  // namespace

const CheckpointFormat StarCoder2::checkpoint{
    .classes = starcoder2_classes, .set_keys = set_starcoder2_keys, .list_tensors = list_plain_decoder<StarCoder2Layer, RopeStyle::halves>};

}  // namespace quern
