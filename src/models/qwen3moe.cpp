#include "models/qwen3moe.h"

#include "models/layers/decoder_checkpoint.h"
#include "models/layers/key_reader.h"

namespace quern {

std::vector<WeightRow<Qwen3MoeLayer>> Qwen3MoeLayer::table(const DecoderConfig& c) {
    using enum Presence;
    using L = Qwen3MoeLayer;
    const int64_t n = c.routing.n_experts;
    return {
        {&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&L::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&L::q_norm, "attn_q_norm.weight", "self_attn.q_norm.weight", {c.head_dim}},
        {&L::k_norm, "attn_k_norm.weight", "self_attn.k_norm.weight", {c.head_dim}},
        {&L::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&L::router, "ffn_gate_inp.weight", "mlp.gate.weight", {n, c.n_embd}},
        {&L::gate_exps, "ffn_gate_exps.weight", "mlp.experts.{}.gate_proj.weight", {n, c.n_ff_expert, c.n_embd}, required, HfForm::stacked},
        {&L::up_exps, "ffn_up_exps.weight", "mlp.experts.{}.up_proj.weight", {n, c.n_ff_expert, c.n_embd}, required, HfForm::stacked},
        {&L::down_exps, "ffn_down_exps.weight", "mlp.experts.{}.down_proj.weight", {n, c.n_embd, c.n_ff_expert}, required, HfForm::stacked},
    };
}

// Published models bring the weights of the chosen to a sum of 1, which files do not say.
DecoderConfig Qwen3Moe::read_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    require_experts(file, config);
    config.routing.normalize = KeyReader(file).boolean("expert_weights_norm", true);
    return config;
}

Tensor Qwen3Moe::forward(Graph& g, const Qwen3MoeLayer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    const Tensor h = g.rms_norm(x, w.ffn_norm, config_.norm_eps);
    const Experts experts{{.gate = w.gate_exps, .up = w.up_exps, .down = w.down_exps}, config_.routing};
    return g.add(x, g.experts(h, g.matmul(w.router, h), experts));
}

Tensor Qwen3Moe::attention(Graph& g, const Qwen3MoeLayer& w, Tensor x, int layer, int rope) const {
    Tensor q = g.heads(g.matmul(w.wq, x), config_.n_heads);           // [n_tokens, n_heads, head_dim]
    Tensor k = g.heads(g.matmul(w.wk, x), config_.n_kv_heads);        // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(g.matmul(w.wv, x), config_.n_kv_heads);  // likewise
    q = g.rope(g.rms_norm(q, w.q_norm, config_.norm_eps), rope);
    k = g.rope(g.rms_norm(k, w.k_norm, config_.norm_eps), rope);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view qwen3moe_classes[] = {"Qwen3MoeForCausalLM"};

void set_qwen3moe_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    refuse_sliding_window(keys.config);
    if (const auto normalized = keys.config.boolean({"norm_topk_prob"})) keys.set("expert_weights_norm", *normalized);
}

}  // namespace

const CheckpointFormat Qwen3Moe::checkpoint{
    .classes = qwen3moe_classes, .set_keys = set_qwen3moe_keys, .list_tensors = list_plain_decoder<Qwen3MoeLayer, RopeStyle::halves>};

}  // namespace quern
