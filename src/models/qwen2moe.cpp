#include "models/qwen2moe.h"

#include <algorithm>

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/key_reader.h"

namespace quern {

std::vector<WeightRow<Qwen2MoeLayer>> Qwen2MoeLayer::table(const DecoderConfig& c) {
    using enum Presence;
    using L = Qwen2MoeLayer;
    const int64_t n = c.routing.n_experts;
    return {
        {&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&L::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::bq, "attn_q.bias", "self_attn.q_proj.bias", {c.q_width()}},
        {&L::bk, "attn_k.bias", "self_attn.k_proj.bias", {c.kv_width()}},
        {&L::bv, "attn_v.bias", "self_attn.v_proj.bias", {c.kv_width()}},
        {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&L::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&L::router, "ffn_gate_inp.weight", "mlp.gate.weight", {n, c.n_embd}},
        {&L::gate_exps, "ffn_gate_exps.weight", "mlp.experts.{}.gate_proj.weight", {n, c.n_ff_expert, c.n_embd}, required, HfForm::stacked},
        {&L::up_exps, "ffn_up_exps.weight", "mlp.experts.{}.up_proj.weight", {n, c.n_ff_expert, c.n_embd}, required, HfForm::stacked},
        {&L::down_exps, "ffn_down_exps.weight", "mlp.experts.{}.down_proj.weight", {n, c.n_embd, c.n_ff_expert}, required, HfForm::stacked},
        {&L::shared_gate_inp, "ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", {1, c.n_embd}},
        {&L::shared_gate, "ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight", {c.n_ff_shared, c.n_embd}},
        {&L::shared_up, "ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight", {c.n_ff_shared, c.n_embd}},
        {&L::shared_down, "ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight", {c.n_embd, c.n_ff_shared}},
    };
}

// Early files name neither size of the experts.
DecoderConfig Qwen2Moe::read_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    require_experts(file, config);
    if (config.n_ff_shared == 0) config.n_ff_shared = config.n_ff;
    if (config.routing.n_used > 0 && !KeyReader(file).has("expert_feed_forward_length"))
        config.n_ff_expert = std::max<int64_t>(1, config.n_ff / config.routing.n_used);
    return config;
}

Tensor Qwen2Moe::forward(Graph& g, const Qwen2MoeLayer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, feed_forward(g, w, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor Qwen2Moe::feed_forward(Graph& g, const Qwen2MoeLayer& w, Tensor x) const {
    const Experts experts{{.gate = w.gate_exps, .up = w.up_exps, .down = w.down_exps}, config_.routing};
    const Tensor chosen = g.experts(x, g.matmul(w.router, x), experts);
    const Tensor share = g.activate(g.matmul(w.shared_gate_inp, x), {ActivationKind::sigmoid});  // [n_tokens, 1]
    return g.add(chosen, g.multiply(swiglu_feed_forward(g, w.shared_gate, w.shared_up, w.shared_down, x), share));
}

Tensor Qwen2Moe::attention(Graph& g, const Qwen2MoeLayer& w, Tensor x, int layer, int rope) const {
    const Tensor q = g.rope(g.heads(linear(g, w.wq, w.bq, x), config_.n_heads), rope);     // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(linear(g, w.wk, w.bk, x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(linear(g, w.wv, w.bv, x), config_.n_kv_heads);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view qwen2moe_classes[] = {"Qwen2MoeForCausalLM"};

void set_qwen2moe_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    refuse_sliding_window(keys.config);
    if (const auto normalized = keys.config.boolean({"norm_topk_prob"})) keys.set("expert_weights_norm", *normalized);
}

}  // namespace

const CheckpointFormat Qwen2Moe::checkpoint{
    .classes = qwen2moe_classes, .set_keys = set_qwen2moe_keys, .list_tensors = list_plain_decoder<Qwen2MoeLayer, RopeStyle::halves>};

}  // namespace quern
