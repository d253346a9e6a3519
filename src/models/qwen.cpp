#include "models/qwen.h"

#include "base/error.h"
#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<QwenLayer>> QwenLayer::table(const DecoderConfig& c) {
    return {
        {&QwenLayer::attn_norm, "attn_norm.weight", "ln_1.weight", {c.n_embd}},
        {&QwenLayer::wqkv, "attn_qkv.weight", "attn.c_attn.weight", {3 * c.q_width(), c.n_embd}},
        {&QwenLayer::bqkv, "attn_qkv.bias", "attn.c_attn.bias", {3 * c.q_width()}},
        {&QwenLayer::wo, "attn_output.weight", "attn.c_proj.weight", {c.n_embd, c.q_width()}},
        {&QwenLayer::ffn_norm, "ffn_norm.weight", "ln_2.weight", {c.n_embd}},
        {&QwenLayer::gate, "ffn_gate.weight", "mlp.w2.weight", {c.n_ff, c.n_embd}},
        {&QwenLayer::up, "ffn_up.weight", "mlp.w1.weight", {c.n_ff, c.n_embd}},
        {&QwenLayer::down, "ffn_down.weight", "mlp.c_proj.weight", {c.n_embd, c.n_ff}},
    };
}

std::vector<WeightRow<DecoderWeights>> QwenLayer::outer_table(const DecoderConfig& c) {
    return {
        {&DecoderWeights::token_embd, "token_embd.weight", "transformer.wte.weight", {c.n_vocab, c.n_embd}},
        {&DecoderWeights::output_norm, "output_norm.weight", "transformer.ln_f.weight", {c.n_embd}},
        {&DecoderWeights::output, "output.weight", "lm_head.weight", {c.n_vocab, c.n_embd}},
    };
}

// The file's feed_forward_length counts gate and up together.
DecoderConfig Qwen::read_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    if (config.n_ff % 2) throw ModelError(concat(file.path(), ": key qwen.feed_forward_length is ", config.n_ff, ", but must be even"));
    if (config.n_kv_heads != config.n_heads)
        throw ModelError(concat(file.path(), ": key qwen.attention.head_count_kv is ", config.n_kv_heads, " of ", config.n_heads,
                                " heads, but this architecture has as many"));
    config.n_ff /= 2;
    return config;
}

Tensor Qwen::forward(Graph& g, const QwenLayer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, swiglu_feed_forward(g, w.gate, w.up, w.down, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor Qwen::attention(Graph& g, const QwenLayer& w, Tensor x, int layer, int rope) const {
    const int64_t n = config_.q_width();
    const auto part = [&](int64_t first) {  // [n_tokens, n_heads, head_dim]
        return g.heads(linear(g, rows_of(w.wqkv, first, n), rows_of(w.bqkv, first, n), x), config_.n_heads);
    };
    const Tensor q = g.rope(part(0), rope), k = g.rope(part(n), rope), v = part(2 * n);
    return g.matmul(w.wo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view qwen_classes[] = {"QWenLMHeadModel"};

void set_qwen_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    keys.real("attention.layer_norm_rms_epsilon", {"layer_norm_epsilon"});
}

void list_qwen_tensors(const GgufFile& keys, const CheckpointConfig&, CheckpointTensors& tensors) {
    DecoderConfig config = read_decoder_config(keys, RopeStyle::halves);
    config.n_ff /= 2;  // config.json counts both halves
    list_decoder_tensors<QwenLayer>(config, tensors);
}

}  // namespace

const CheckpointFormat Qwen::checkpoint{
    .classes = qwen_classes, .embedding = "transformer.wte.weight", .set_keys = set_qwen_keys, .list_tensors = list_qwen_tensors};

}  // namespace quern
