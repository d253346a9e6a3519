#include "models/gpt2.h"

#include "base/error.h"
#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<Gpt2Layer>> Gpt2Layer::table(const DecoderConfig& c) {
    using enum Presence;
    const int64_t n = c.n_embd;
    return {
        {&Gpt2Layer::attn_norm, "attn_norm.weight", "ln_1.weight", {n}},
        {&Gpt2Layer::attn_norm_bias, "attn_norm.bias", "ln_1.bias", {n}},
        {&Gpt2Layer::wqkv, "attn_qkv.weight", "attn.c_attn.weight", {3 * n, n}, required, HfForm::transposed},
        {&Gpt2Layer::bqkv, "attn_qkv.bias", "attn.c_attn.bias", {3 * n}},
        {&Gpt2Layer::wo, "attn_output.weight", "attn.c_proj.weight", {n, n}, required, HfForm::transposed},
        {&Gpt2Layer::bo, "attn_output.bias", "attn.c_proj.bias", {n}},
        {&Gpt2Layer::ffn_norm, "ffn_norm.weight", "ln_2.weight", {n}},
        {&Gpt2Layer::ffn_norm_bias, "ffn_norm.bias", "ln_2.bias", {n}},
        {&Gpt2Layer::up, "ffn_up.weight", "mlp.c_fc.weight", {c.n_ff, n}, required, HfForm::transposed},
        {&Gpt2Layer::up_bias, "ffn_up.bias", "mlp.c_fc.bias", {c.n_ff}},
        {&Gpt2Layer::down, "ffn_down.weight", "mlp.c_proj.weight", {n, c.n_ff}, required, HfForm::transposed},
        {&Gpt2Layer::down_bias, "ffn_down.bias", "mlp.c_proj.bias", {n}},
    };
}

std::vector<WeightRow<DecoderWeights>> Gpt2Layer::outer_table(const DecoderConfig& c) {
    return {
        {&DecoderWeights::token_embd, "token_embd.weight", "transformer.wte.weight", {c.n_vocab, c.n_embd}},
        {&DecoderWeights::position_embd, "position_embd.weight", "transformer.wpe.weight", {c.n_ctx_train, c.n_embd}},
        {&DecoderWeights::output_norm, "output_norm.weight", "transformer.ln_f.weight", {c.n_embd}},
        {&DecoderWeights::output_norm_bias, "output_norm.bias", "transformer.ln_f.bias", {c.n_embd}},
        {&DecoderWeights::output, "output.weight", "lm_head.weight", {c.n_vocab, c.n_embd}, Presence::optional},
    };
}

Gpt2::Gpt2(const GgufFile& file) : Decoder(file, RopeStyle::halves) {
    require_no_experts(file, config_);
    if (config_.n_kv_heads != config_.n_heads || config_.q_width() != config_.n_embd)
        throw ModelError(concat(file.path(), ": ", config_.n_heads, " heads of ", config_.head_dim, " with ", config_.n_kv_heads,
                                " for keys and values: this architecture has as many of both, and embedding_length values in all"));
}

Tensor Gpt2::embed(Graph& g) const { return g.add(g.embed(weights_.token_embd), g.embed_positions(weights_.position_embd)); }

Tensor Gpt2::final_norm(Graph& g, Tensor x) const {
    return g.layer_norm(x, weights_.output_norm, weights_.output_norm_bias, config_.norm_eps);
}

Tensor Gpt2::forward(Graph& g, const Gpt2Layer& w, Tensor x, int layer, int) const {
    x = g.add(x, attention(g, w, g.layer_norm(x, w.attn_norm, w.attn_norm_bias, config_.norm_eps), layer));
    const Tensor h = g.layer_norm(x, w.ffn_norm, w.ffn_norm_bias, config_.norm_eps);
    const Tensor up = g.activate(linear(g, w.up, w.up_bias, h), {ActivationKind::gelu_tanh});  // [n_tokens, n_ff]
    return g.add(x, linear(g, w.down, w.down_bias, up));
}

Tensor Gpt2::attention(Graph& g, const Gpt2Layer& w, Tensor x, int layer) const {
    const int64_t n = config_.n_embd;
    const auto part = [&](int64_t first) {  // [n_tokens, n_heads, head_dim]
        return g.heads(linear(g, rows_of(w.wqkv, first, n), rows_of(w.bqkv, first, n), x), config_.n_heads);
    };
    const Tensor q = part(0), k = part(n), v = part(2 * n);
    return linear(g, w.wo, w.bo, g.attend(q, k, v, layer, {.scale = config_.attention_scale}));  // [n_tokens, n_embd]
}

namespace {

constexpr std::string_view gpt2_classes[] = {"GPT2LMHeadModel"};

constexpr std::string_view gpt2_prefixes[] = {"transformer."};
constexpr std::string_view gpt2_ignored[] = {".attn.bias", ".attn.masked_bias", "lm_head.weight"};  // masks; always tied

void set_gpt2_keys(const CheckpointKeys& keys) {
    if (!keys.config.boolean({"scale_attn_weights"}).value_or(true)) keys.config.fail("scale_attn_weights is false; quern knows true");
    if (keys.config.boolean({"scale_attn_by_inverse_layer_idx"}).value_or(false))
        keys.config.fail("scale_attn_by_inverse_layer_idx is true; quern knows false");
    if (keys.config.string({"activation_function"}).value_or("gelu_new") != "gelu_pytorch_tanh")
        keys.config.require_value("activation_function", "gelu_new");
    keys.require_integer("block_count", {"n_layer"});
    keys.require_integer("context_length", {"n_positions", "n_ctx"});
    keys.require_integer("embedding_length", {"n_embd"});
    keys.require_integer("attention.head_count", {"n_head"});
    const int64_t n_embd = keys.config.require_integer({"n_embd"});
    if (n_embd > 0 && n_embd < (1 << 20)) keys.set("feed_forward_length", static_cast<uint32_t>(4 * n_embd));
    keys.integer("feed_forward_length", {"n_inner"});
    keys.real("attention.layer_norm_epsilon", {"layer_norm_epsilon"});
}

}  // namespace

const CheckpointFormat Gpt2::checkpoint{.classes = gpt2_classes,
                                        .embedding = "transformer.wte.weight",
                                        .set_keys = set_gpt2_keys,
                                        .list_tensors = list_plain_decoder<Gpt2Layer, RopeStyle::halves>,
                                        .optional_prefixes = gpt2_prefixes,
                                        .ignored = gpt2_ignored};

}  // namespace quern
