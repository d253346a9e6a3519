#include "models/bert.h"

#include "base/error.h"
#include "base/printable.h"
#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/key_reader.h"

namespace quern {

std::vector<WeightRow<BertLayer>> BertLayer::table(const DecoderConfig& c) {
    const int64_t n = c.n_embd;
    return {
        {&BertLayer::wq, "attn_q.weight", "attention.self.query.weight", {n, n}},
        {&BertLayer::bq, "attn_q.bias", "attention.self.query.bias", {n}},
        {&BertLayer::wk, "attn_k.weight", "attention.self.key.weight", {n, n}},
        {&BertLayer::bk, "attn_k.bias", "attention.self.key.bias", {n}},
        {&BertLayer::wv, "attn_v.weight", "attention.self.value.weight", {n, n}},
        {&BertLayer::bv, "attn_v.bias", "attention.self.value.bias", {n}},
        {&BertLayer::wo, "attn_output.weight", "attention.output.dense.weight", {n, n}},
        {&BertLayer::bo, "attn_output.bias", "attention.output.dense.bias", {n}},
        {&BertLayer::attn_norm, "attn_output_norm.weight", "attention.output.LayerNorm.weight", {n}},
        {&BertLayer::attn_norm_bias, "attn_output_norm.bias", "attention.output.LayerNorm.bias", {n}},
        {&BertLayer::up, "ffn_up.weight", "intermediate.dense.weight", {c.n_ff, n}},
        {&BertLayer::up_bias, "ffn_up.bias", "intermediate.dense.bias", {c.n_ff}},
        {&BertLayer::down, "ffn_down.weight", "output.dense.weight", {n, c.n_ff}},
        {&BertLayer::down_bias, "ffn_down.bias", "output.dense.bias", {n}},
        {&BertLayer::norm, "layer_output_norm.weight", "output.LayerNorm.weight", {n}},
        {&BertLayer::norm_bias, "layer_output_norm.bias", "output.LayerNorm.bias", {n}},
    };
}

std::vector<WeightRow<BertEmbeddings>> BertEmbeddings::table(const DecoderConfig& c, int64_t n_token_types) {
    const int64_t n = c.n_embd;
    return {
        {&BertEmbeddings::tokens, "token_embd.weight", "embeddings.word_embeddings.weight", {c.n_vocab, n}},
        {&BertEmbeddings::positions, "position_embd.weight", "embeddings.position_embeddings.weight", {c.n_ctx_train, n}},
        {&BertEmbeddings::token_types, "token_types.weight", "embeddings.token_type_embeddings.weight", {n_token_types, n}},
        {&BertEmbeddings::norm, "token_embd_norm.weight", "embeddings.LayerNorm.weight", {n}},
        {&BertEmbeddings::norm_bias, "token_embd_norm.bias", "embeddings.LayerNorm.bias", {n}},
    };
}

namespace {

int64_t read_token_types(const GgufFile& file) {
    const int64_t n = file.metadata().integer("tokenizer.ggml.token_type_count").value_or(2);
    if (n < 1 || n > 1 << 16) throw ModelError(concat(file.path(), ": key tokenizer.ggml.token_type_count is ", n, ", outside 1 to 65536"));
    return n;
}

// Where the file names none, or "none", a text still has a vector: the mean, as sentence-transformers takes it.
Pooling read_pooling(const GgufFile& file) {
    const KeyReader keys(file);
    switch (keys.optional_integer("pooling_type", -1, 4).value_or(0)) {
        case 2:
            return Pooling::cls;
        case 3:
            return Pooling::last;
        case 4:
            keys.fail("the model ranks pairs of texts (pooling_type 4), which quern cannot do yet");
        default:
            return Pooling::mean;
    }
}

DecoderConfig read_bert_config(const GgufFile& file) {
    DecoderConfig config = read_decoder_config(file, RopeStyle::halves);
    require_no_experts(file, config);
    require_equal_heads(file, config);
    if (config.n_kv_heads != config.n_heads || config.q_width() != config.n_embd)
        throw ModelError(concat(file.path(), ": ", config.n_heads, " heads of ", config.head_dim, " with ", config.n_kv_heads,
                                " for keys and values: this architecture has as many of both, and embedding_length values in all"));
    return config;
}

}  // namespace

Bert::Bert(const GgufFile& file) : config_(read_bert_config(file)), pooling_(read_pooling(file)) {
    load_weights<BertEmbeddings>(file, BertEmbeddings::table(config_, read_token_types(file)), "", embeddings_);
    first_type_.resize(static_cast<size_t>(config_.n_embd));
    decode_row(embeddings_.token_types, 0, first_type_.data());
    layers_.resize(static_cast<size_t>(config_.n_layers));
    for (int i = 0; i < config_.n_layers; ++i)
        load_weights<BertLayer>(file, BertLayer::table(config_), concat("blk.", i, "."), layers_[static_cast<size_t>(i)]);
}

Graph Bert::build(int64_t) const {
    Graph g;
    const TensorView first_type{
        .dtype = DType::f32, .shape = {config_.n_embd}, .data = reinterpret_cast<const std::byte*>(first_type_.data())};
    const Tensor sum = g.add_bias(g.add(g.embed(embeddings_.tokens), g.embed_positions(embeddings_.positions)), first_type);
    Tensor x = g.layer_norm(sum, embeddings_.norm, embeddings_.norm_bias, config_.norm_eps);  // [n_tokens, n_embd]
    for (int i = 0; i < config_.n_layers; ++i) x = layer(g, layers_[static_cast<size_t>(i)], x, i);
    g.set_result(g.select_outputs(x));  // [n_outputs, n_embd]
    return g;
}

Tensor Bert::layer(Graph& g, const BertLayer& w, Tensor x, int number) const {
    const auto heads = [&](const TensorView& weight, const TensorView& bias) {
        return g.heads(linear(g, weight, bias, x), config_.n_heads);
    };
    const Tensor q = heads(w.wq, w.bq), k = heads(w.wk, w.bk), v = heads(w.wv, w.bv);  // [n_tokens, n_heads, head_dim]
    const Tensor seen = g.attend(q, k, v, number, {.scale = config_.attention_scale, .causal = false});
    x = g.layer_norm(g.add(x, linear(g, w.wo, w.bo, seen)), w.attn_norm, w.attn_norm_bias, config_.norm_eps);
    const Tensor up = g.activate(linear(g, w.up, w.up_bias, x), {ActivationKind::gelu});  // [n_tokens, n_ff]
    return g.layer_norm(g.add(x, linear(g, w.down, w.down_bias, up)), w.norm, w.norm_bias, config_.norm_eps);
}

namespace {

constexpr std::string_view bert_classes[] = {"BertModel", "BertForMaskedLM"};
constexpr std::string_view bert_prefixes[] = {"bert."};
// What training needs beside the vectors of the tokens.
constexpr std::string_view bert_ignored[] = {"embeddings.position_ids", "pooler.dense.", "cls.predictions.", "cls.seq_relationship."};

int64_t count_token_types(const CheckpointConfig& config) {
    const int64_t n = config.integer({"type_vocab_size"}).value_or(2);
    if (n < 1 || n > 1 << 16) config.fail(concat("type_vocab_size is ", n, ", outside 1 to 65536"));
    return n;
}

void set_bert_keys(const CheckpointKeys& keys) {
    const auto require = [&](std::string_view entry, std::string_view expected) {
        const std::string found = keys.config.string({entry}).value_or(std::string(expected));
        if (found != expected) keys.config.fail(concat(entry, " is ", quoted(found), "; quern knows ", expected));
    };
    require("hidden_act", "gelu");
    require("position_embedding_type", "absolute");
    keys.require_integer("block_count", {"num_hidden_layers"});
    keys.require_integer("context_length", {"max_position_embeddings"});
    keys.require_integer("embedding_length", {"hidden_size"});
    keys.require_integer("feed_forward_length", {"intermediate_size"});
    keys.require_integer("attention.head_count", {"num_attention_heads"});
    keys.set("attention.layer_norm_epsilon", 1e-12f);  // what the config need not say
    keys.real("attention.layer_norm_epsilon", {"layer_norm_eps"});
    keys.set("attention.causal", false);
    keys.integer("vocab_size", {"vocab_size"});
    keys.writer.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(count_token_types(keys.config)));
}

void list_bert_tensors(const GgufFile& keys, const CheckpointConfig&, CheckpointTensors& tensors) {
    const DecoderConfig config = read_bert_config(keys);
    add_rows<BertEmbeddings>(BertEmbeddings::table(config, read_token_types(keys)), config, "", "", tensors);
    for (int i = 0; i < config.n_layers; ++i)
        add_rows<BertLayer>(BertLayer::table(config), config, concat("blk.", i, "."), concat("encoder.layer.", i, "."), tensors);
}

}  // namespace

const CheckpointFormat Bert::checkpoint{.classes = bert_classes,
                                        .embedding = "embeddings.word_embeddings.weight",
                                        .set_keys = set_bert_keys,
                                        .list_tensors = list_bert_tensors,
                                        .optional_prefixes = bert_prefixes,
                                        .ignored = bert_ignored};

}  // namespace quern
