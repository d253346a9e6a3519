#include "models/gpt_oss.h"

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

// Checkpoints keep gate and up of an expert as alternating rows of one tensor.
std::vector<WeightRow<GptOssLayer>> GptOssLayer::table(const DecoderConfig& c) {
    using enum Presence;
    using L = GptOssLayer;
    const int64_t n = c.routing.n_experts, n_ff = c.n_ff_expert;
    return {
        {&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&L::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&L::bq, "attn_q.bias", "self_attn.q_proj.bias", {c.q_width()}},
        {&L::bk, "attn_k.bias", "self_attn.k_proj.bias", {c.kv_width()}},
        {&L::bv, "attn_v.bias", "self_attn.v_proj.bias", {c.kv_width()}},
        {&L::bo, "attn_output.bias", "self_attn.o_proj.bias", {c.n_embd}},
        {&L::sinks, "attn_sinks.weight", "self_attn.sinks", {c.n_heads}},
        {&L::ffn_norm, "post_attention_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
        {&L::router, "ffn_gate_inp.weight", "mlp.router.weight", {n, c.n_embd}},
        {&L::router_bias, "ffn_gate_inp.bias", "mlp.router.bias", {n}},
        {&L::gate_exps, "ffn_gate_exps.weight", "mlp.experts.gate_up_proj", {n, n_ff, c.n_embd}, required, HfForm::even_rows},
        {&L::gate_exps_bias, "ffn_gate_exps.bias", "mlp.experts.gate_up_proj_bias", {n, n_ff}, required, HfForm::even_rows},
        {&L::up_exps, "ffn_up_exps.weight", "mlp.experts.gate_up_proj", {n, n_ff, c.n_embd}, required, HfForm::odd_rows},
        {&L::up_exps_bias, "ffn_up_exps.bias", "mlp.experts.gate_up_proj_bias", {n, n_ff}, required, HfForm::odd_rows},
        {&L::down_exps, "ffn_down_exps.weight", "mlp.experts.down_proj", {n, c.n_embd, n_ff}, required, HfForm::transposed},
        {&L::down_exps_bias, "ffn_down_exps.bias", "mlp.experts.down_proj_bias", {n, c.n_embd}},
    };
}

// The weights are the softmax over the chosen experts. YaRN's ramp runs between pairs without rounding to whole ones.
DecoderConfig GptOss::read_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    require_experts(file, config);
    config.routing.normalize = true;
    config.rope.yarn_whole_pairs = false;
    return config;
}

Tensor GptOss::forward(Graph& g, const GptOssLayer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    const Tensor h = g.rms_norm(x, w.ffn_norm, config_.norm_eps);
    const ExpertWeights experts{.gate = w.gate_exps,
                                .up = w.up_exps,
                                .down = w.down_exps,
                                .gate_bias = w.gate_exps_bias,
                                .up_bias = w.up_exps_bias,
                                .down_bias = w.down_exps_bias,
                                .gating = Gating::clamped_swiglu};
    return g.add(x, g.experts(h, linear(g, w.router, w.router_bias, h), {experts, config_.routing}));
}

Tensor GptOss::attention(Graph& g, const GptOssLayer& w, Tensor x, int layer, int rope) const {
    const Tensor q = g.rope(g.heads(linear(g, w.wq, w.bq, x), config_.n_heads), rope);     // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(linear(g, w.wk, w.bk, x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(linear(g, w.wv, w.bv, x), config_.n_kv_heads);
    const Attention how{.scale = config_.attention_scale, .window = layer % 2 == 0 ? config_.window : 0, .sinks = w.sinks};
    return linear(g, w.wo, w.bo, g.attend(q, k, v, layer, how));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view gpt_oss_classes[] = {"GptOssForCausalLM"};

void set_gpt_oss_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    require_windowed_layers(keys.config, [](int layer) { return layer % 2 == 0; });
    keys.integer("expert_feed_forward_length", {"intermediate_size"});
    keys.integer("attention.sliding_window", {"sliding_window"});
}

}  // namespace

const CheckpointFormat GptOss::checkpoint{
    .classes = gpt_oss_classes, .set_keys = set_gpt_oss_keys, .list_tensors = list_plain_decoder<GptOssLayer, RopeStyle::halves>};

}  // namespace quern
