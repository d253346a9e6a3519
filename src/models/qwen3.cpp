#include "models/qwen3.h"

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<Qwen3Layer>> Qwen3Layer::table(const DecoderConfig& c) {
    return {
        {&Qwen3Layer::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&Qwen3Layer::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&Qwen3Layer::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&Qwen3Layer::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&Qwen3Layer::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&Qwen3Layer::q_norm, "attn_q_norm.weight", "self_attn.q_norm.weight", {c.head_dim}},
        {&Qwen3Layer::k_norm, "attn_k_norm.weight", "self_attn.k_norm.weight", {c.head_dim}},
        {&Qwen3Layer::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&Qwen3Layer::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
        {&Qwen3Layer::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
        {&Qwen3Layer::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}},
    };
}

Tensor Qwen3::forward(Graph& g, const Qwen3Layer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, swiglu_feed_forward(g, w.gate, w.up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor Qwen3::attention(Graph& g, const Qwen3Layer& w, Tensor x, int layer, int rope) const {
    Tensor q = g.heads(g.matmul(w.wq, x), config_.n_heads);           // [n_tokens, n_heads, head_dim]
    Tensor k = g.heads(g.matmul(w.wk, x), config_.n_kv_heads);        // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(g.matmul(w.wv, x), config_.n_kv_heads);  // likewise
    q = g.rope(g.rms_norm(q, w.q_norm, config_.norm_eps), rope);
    k = g.rope(g.rms_norm(k, w.k_norm, config_.norm_eps), rope);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view qwen3_classes[] = {"Qwen3ForCausalLM", "Qwen3Model"};

void set_qwen3_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    refuse_sliding_window(keys.config);
}

}  // namespace

const CheckpointFormat Qwen3::checkpoint{.classes = qwen3_classes,
                                         .set_keys = set_qwen3_keys,
                                         .list_tensors = list_plain_decoder<Qwen3Layer, RopeStyle::halves>,
                                         .optional_prefixes = model_prefix};

}  // namespace quern
