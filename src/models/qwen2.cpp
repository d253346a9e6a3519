#include "models/qwen2.h"

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<Qwen2Layer>> Qwen2Layer::table(const DecoderConfig& c) {
    return {
        {&Qwen2Layer::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&Qwen2Layer::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&Qwen2Layer::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&Qwen2Layer::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&Qwen2Layer::bq, "attn_q.bias", "self_attn.q_proj.bias", {c.q_width()}},
        {&Qwen2Layer::bk, "attn_k.bias", "self_attn.k_proj.bias", {c.kv_width()}},
        {&Qwen2Layer::bv, "attn_v.bias", "self_attn.v_proj.bias", {c.kv_width()}},
        {&Qwen2Layer::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&Qwen2Layer::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&Qwen2Layer::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
        {&Qwen2Layer::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
        {&Qwen2Layer::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}},
    };
}

Tensor Qwen2::forward(Graph& g, const Qwen2Layer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, swiglu_feed_forward(g, w.gate, w.up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor Qwen2::attention(Graph& g, const Qwen2Layer& w, Tensor x, int layer, int rope) const {
    const Tensor q = g.rope(g.heads(linear(g, w.wq, w.bq, x), config_.n_heads), rope);     // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(linear(g, w.wk, w.bk, x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(linear(g, w.wv, w.bv, x), config_.n_kv_heads);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view qwen2_classes[] = {"Qwen2ForCausalLM", "Qwen2Model"};

void set_qwen2_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    refuse_sliding_window(keys.config);
}

}  // namespace

const CheckpointFormat Qwen2::checkpoint{.classes = qwen2_classes,
                                         .set_keys = set_qwen2_keys,
                                         .list_tensors = list_plain_decoder<Qwen2Layer, RopeStyle::halves>,
                                         .optional_prefixes = model_prefix};

}  // namespace quern
