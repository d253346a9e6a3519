#include "models/llama.h"

#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

// Llama's own checkpoints have no biases; some of its shape (InternLM, Llama with attention_bias) do.
std::vector<WeightRow<LlamaLayer>> LlamaLayer::table(const DecoderConfig& c) {
    std::vector<WeightRow<LlamaLayer>> table{
        {&LlamaLayer::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
        {&LlamaLayer::wq, "attn_q.weight", "self_attn.q_proj.weight", {c.q_width(), c.n_embd}, Presence::required, HfForm::rotary_rows_q},
        {&LlamaLayer::wk, "attn_k.weight", "self_attn.k_proj.weight", {c.kv_width(), c.n_embd}, Presence::required, HfForm::rotary_rows_k},
        {&LlamaLayer::wv, "attn_v.weight", "self_attn.v_proj.weight", {c.kv_width(), c.n_embd}},
        {&LlamaLayer::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, c.q_width()}},
        {&LlamaLayer::bq, "attn_q.bias", "self_attn.q_proj.bias", {c.q_width()}, Presence::optional, HfForm::rotary_rows_q},
        {&LlamaLayer::bk, "attn_k.bias", "self_attn.k_proj.bias", {c.kv_width()}, Presence::optional, HfForm::rotary_rows_k},
        {&LlamaLayer::bv, "attn_v.bias", "self_attn.v_proj.bias", {c.kv_width()}, Presence::optional},
        {&LlamaLayer::bo, "attn_output.bias", "self_attn.o_proj.bias", {c.n_embd}, Presence::optional},
        {&LlamaLayer::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}},
    };
    if (const int64_t n = c.routing.n_experts; n > 0)
        table.insert(table.end(), {{&LlamaLayer::router, "ffn_gate_inp.weight", "block_sparse_moe.gate.weight", {n, c.n_embd}},
                                   {&LlamaLayer::gate_exps,
                                    "ffn_gate_exps.weight",
                                    "block_sparse_moe.experts.{}.w1.weight",
                                    {n, c.n_ff_expert, c.n_embd},
                                    Presence::required,
                                    HfForm::stacked},
                                   {&LlamaLayer::up_exps,
                                    "ffn_up_exps.weight",
                                    "block_sparse_moe.experts.{}.w3.weight",
                                    {n, c.n_ff_expert, c.n_embd},
                                    Presence::required,
                                    HfForm::stacked},
                                   {&LlamaLayer::down_exps,
                                    "ffn_down_exps.weight",
                                    "block_sparse_moe.experts.{}.w2.weight",
                                    {n, c.n_embd, c.n_ff_expert},
                                    Presence::required,
                                    HfForm::stacked}});
    else
        table.insert(table.end(), {{&LlamaLayer::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
                                   {&LlamaLayer::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
                                   {&LlamaLayer::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}}});
    return table;
}

Tensor Llama::forward(Graph& g, const LlamaLayer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, feed_forward(g, w, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

// Mixtral's weights are the softmax over the chosen experts: the same as that over all, brought to a sum of 1.
Tensor Llama::feed_forward(Graph& g, const LlamaLayer& w, Tensor x) const {
    if (config_.routing.n_experts == 0) return swiglu_feed_forward(g, w.gate, w.up, w.down, x);
    Routing routing = config_.routing;
    routing.normalize = true;
    return g.experts(x, g.matmul(w.router, x), {{.gate = w.gate_exps, .up = w.up_exps, .down = w.down_exps}, routing});
}

Tensor Llama::attention(Graph& g, const LlamaLayer& w, Tensor x, int layer, int rope) const {
    Tensor q = g.heads(linear(g, w.wq, w.bq, x), config_.n_heads);     // [n_tokens, n_heads, head_dim]
    Tensor k = g.heads(linear(g, w.wk, w.bk, x), config_.n_kv_heads);  // [n_tokens, n_kv_heads, head_dim]
    if (turns(layer)) {
        q = g.rope(q, rope);
        k = g.rope(k, rope);
    }
    const Tensor v = g.heads(linear(g, w.wv, w.bv, x), config_.n_kv_heads);
    return linear(g, w.wo, w.bo,
                  g.attend(q, k, v, layer, {.scale = config_.attention_scale, .window = config_.window}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view llama_classes[] = {"LlamaForCausalLM",   "LLaMAForCausalLM", "MistralForCausalLM",
                                              "MixtralForCausalLM", "LlamaModel",       "MistralModel"};

// Mistral's first models have a window.
void set_llama_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    const std::vector<std::string> classes = keys.config.strings({"architectures"});
    if (!classes.empty() && classes.front() == "MistralForCausalLM") keys.integer("attention.sliding_window", {"sliding_window"});
}

void list_llama_tensors(const GgufFile& keys, const CheckpointConfig& config, CheckpointTensors& tensors) {
    add_llama3_frequencies(keys, config, tensors);
    list_decoder_tensors<LlamaLayer>(read_decoder_config(keys, RopeStyle::adjacent), tensors);
}

}  // namespace

const CheckpointFormat Llama::checkpoint{
    .classes = llama_classes, .set_keys = set_llama_keys, .list_tensors = list_llama_tensors, .optional_prefixes = model_prefix};

}  // namespace quern
