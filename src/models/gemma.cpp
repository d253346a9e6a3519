#include "models/gemma.h"

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<GemmaLayer>> GemmaLayer::table(const DecoderConfig& c) {
    using enum Presence;
    return {
        {&GemmaLayer::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&GemmaLayer::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}},
        {&GemmaLayer::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}},
        {&GemmaLayer::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&GemmaLayer::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&GemmaLayer::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}, required, HfForm::plus_one},
        {&GemmaLayer::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
        {&GemmaLayer::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
        {&GemmaLayer::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}},
    };
}

std::vector<WeightRow<DecoderWeights>> GemmaLayer::outer_table(const DecoderConfig& c) { return gemma_outer_table(c); }

Tensor Gemma::embed(Graph& g) const { return scaled_embedding(g, weights_.token_embd); }

Tensor Gemma::forward(Graph& g, const GemmaLayer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, geglu_feed_forward(g, w.gate, w.up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor Gemma::attention(Graph& g, const GemmaLayer& w, Tensor x, int layer, int rope) const {
    const Tensor q = g.rope(g.heads(g.matmul(w.wq, x), config_.n_heads), rope);     // [n_tokens, n_heads, head_dim]
    const Tensor k = g.rope(g.heads(g.matmul(w.wk, x), config_.n_kv_heads), rope);  // [n_tokens, n_kv_heads, head_dim]
    const Tensor v = g.heads(g.matmul(w.wv, x), config_.n_kv_heads);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view gemma_classes[] = {"GemmaForCausalLM"};

constexpr std::string_view gemma_ignored[] = {"lm_head.weight"};  // always tied

void set_gemma_keys(const CheckpointKeys& keys) { set_decoder_keys(keys, tanh_gelu); }

}  // namespace

const CheckpointFormat Gemma::checkpoint{.classes = gemma_classes,
                                         .set_keys = set_gemma_keys,
                                         .list_tensors = list_plain_decoder<GemmaLayer, RopeStyle::halves>,
                                         .ignored = gemma_ignored};

}  // namespace quern
