#include "models/nomic_bert.h"

#include <algorithm>

#include "base/error.h"
#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/encoder_checkpoint.h"

namespace quern {

std::vector<WeightRow<NomicBertLayer>> NomicBertLayer::table(const DecoderConfig& c) {
    const int64_t n = c.n_embd;
    return {
        {&NomicBertLayer::wqkv, "attn_qkv.weight", "attn.Wqkv.weight", {3 * n, n}},
        {&NomicBertLayer::wo, "attn_output.weight", "attn.out_proj.weight", {n, n}},
        {&NomicBertLayer::attn_norm, "attn_output_norm.weight", "norm1.weight", {n}},
        {&NomicBertLayer::attn_norm_bias, "attn_output_norm.bias", "norm1.bias", {n}},
        {&NomicBertLayer::up, "ffn_up.weight", "mlp.fc11.weight", {c.n_ff, n}},
        {&NomicBertLayer::gate, "ffn_gate.weight", "mlp.fc12.weight", {c.n_ff, n}},
        {&NomicBertLayer::down, "ffn_down.weight", "mlp.fc2.weight", {n, c.n_ff}},
        {&NomicBertLayer::norm, "layer_output_norm.weight", "norm2.weight", {n}},
        {&NomicBertLayer::norm_bias, "layer_output_norm.bias", "norm2.bias", {n}},
    };
}

std::vector<WeightRow<NomicBertEmbeddings>> NomicBertEmbeddings::table(const DecoderConfig& c, int64_t n_token_types) {
    const int64_t n = c.n_embd;
    return {
        {&NomicBertEmbeddings::tokens, "token_embd.weight", "embeddings.word_embeddings.weight", {c.n_vocab, n}},
        {&NomicBertEmbeddings::token_types, "token_types.weight", "embeddings.token_type_embeddings.weight", {n_token_types, n}},
        {&NomicBertEmbeddings::norm, "token_embd_norm.weight", "emb_ln.weight", {n}},
        {&NomicBertEmbeddings::norm_bias, "token_embd_norm.bias", "emb_ln.bias", {n}},
    };
}

NomicBert::NomicBert(const GgufFile& file)
    : Encoder(file), frequencies_(rope_frequencies(config_.rope, read_factors(file, "rope_freqs.weight", config_))) {
    load_weights<NomicBertEmbeddings>(file, NomicBertEmbeddings::table(config_, read_token_types(file)), "", embeddings_);
    layers_.resize(static_cast<size_t>(config_.n_layers));
    for (int i = 0; i < config_.n_layers; ++i)
        load_weights<NomicBertLayer>(file, NomicBertLayer::table(config_), concat("blk.", i, "."), layers_[static_cast<size_t>(i)]);
}

Graph NomicBert::build_vectors(int64_t) const {
    Graph g;
    g.add_rope({frequencies_, config_.rope.style});
    const Tensor sum = g.add(g.embed(embeddings_.tokens), g.embed_types(embeddings_.token_types));
    Tensor x = g.layer_norm(sum, embeddings_.norm, embeddings_.norm_bias, config_.norm_eps);  // [n_tokens, n_embd]
    for (int i = 0; i < config_.n_layers; ++i) x = layer(g, layers_[static_cast<size_t>(i)], x, i);
    g.set_result(g.select_outputs(x));  // [n_outputs, n_embd]
    return g;
}

Tensor NomicBert::layer(Graph& g, const NomicBertLayer& w, Tensor x, int number) const {
    const int64_t n = config_.n_embd;
    const auto heads = [&](int64_t part) { return g.heads(g.matmul(rows_of(w.wqkv, part * n, n), x), config_.n_heads); };
    const Tensor q = g.rope(heads(0), 0), k = g.rope(heads(1), 0), v = heads(2);  // [n_tokens, n_heads, head_dim]
    const Tensor seen = g.attend(q, k, v, number, {.scale = config_.attention_scale, .causal = false});
    x = g.layer_norm(g.add(x, g.matmul(w.wo, seen)), w.attn_norm, w.attn_norm_bias, config_.norm_eps);
    return g.layer_norm(g.add(x, swiglu_feed_forward(g, w.gate, w.up, w.down, x)), w.norm, w.norm_bias, config_.norm_eps);
}

namespace {

constexpr std::string_view nomic_classes[] = {"NomicBertModel", "NomicBertForMaskedLM"};
constexpr std::string_view nomic_prefixes[] = {"nomic_bert.", "bert."};
// What training needs beside the vectors of the tokens.
constexpr std::string_view nomic_ignored[] = {"pooler.dense.", "cls.predictions."};

void require_no(const CheckpointConfig& config, std::string_view entry) {
    if (config.boolean({entry}).value_or(false)) config.fail(concat(entry, " is true, which quern does not know of this architecture"));
}

/// Configs come in two spellings: that of the model's own code, after GPT-2's, and that of transformers.
void set_nomic_keys(const CheckpointKeys& keys) {
    const CheckpointConfig& config = keys.config;
    config.require_value("hidden_act", "silu");
    config.require_value("activation_function", "swiglu");
    for (const char* entry : {"prenorm", "qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "use_rms_norm", "rotary_emb_interleaved"})
        require_no(config, entry);
    if (config.real({"rotary_emb_fraction"}).value_or(1.0) != 1.0) config.fail("rotary_emb_fraction is not 1");
    if (config.integer({"num_experts"}).value_or(0) > 0)
        config.fail("the model is a mixture of experts, which quern does not know of this architecture");
    set_decoder_keys(keys);
    // Beyond what the model was trained with it needs another scaling of its positions.
    if (const auto trained = config.integer({"max_trained_positions"}))
        keys.set("context_length", static_cast<uint32_t>(std::clamp<int64_t>(*trained, 1, 1 << 24)));
    keys.set("rope.freq_base", 1000.0f);  // what the config need not say
    keys.real("rope.freq_base", {"rotary_emb_base", "rope_parameters.rope_theta", "rope_theta"});
    keys.set("attention.layer_norm_epsilon", 1e-12f);
    keys.real("attention.layer_norm_epsilon", {"layer_norm_eps", "layer_norm_epsilon"});
    keys.set("attention.causal", false);
    set_token_types(keys);
}

void list_nomic_tensors(const GgufFile& keys, const CheckpointConfig&, CheckpointTensors& tensors) {
    const DecoderConfig config = read_encoder_config(keys);
    add_rows<NomicBertEmbeddings>(NomicBertEmbeddings::table(config, read_token_types(keys)), config, "", "", tensors);
    for (int i = 0; i < config.n_layers; ++i)
        add_rows<NomicBertLayer>(NomicBertLayer::table(config), config, concat("blk.", i, "."), concat("encoder.layers.", i, "."), tensors);
}

}  // namespace

const CheckpointFormat NomicBert::checkpoint{.classes = nomic_classes,
                                             .embedding = "embeddings.word_embeddings.weight",
                                             .set_keys = set_nomic_keys,
                                             .list_tensors = list_nomic_tensors,
                                             .optional_prefixes = nomic_prefixes,
                                             .ignored = nomic_ignored};

}  // namespace quern
