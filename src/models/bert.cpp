#include "models/bert.h"

#include "base/error.h"
#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/encoder_checkpoint.h"

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

Bert::Bert(const GgufFile& file) : Encoder(file) {
    load_weights<BertEmbeddings>(file, BertEmbeddings::table(config_, read_token_types(file)), "", embeddings_);
    layers_.resize(static_cast<size_t>(config_.n_layers));
    for (int i = 0; i < config_.n_layers; ++i)
        load_weights<BertLayer>(file, BertLayer::table(config_), concat("blk.", i, "."), layers_[static_cast<size_t>(i)]);
}

Graph Bert::build_vectors(int64_t) const {
    Graph g;
    const Tensor sum =
        g.add(g.add(g.embed(embeddings_.tokens), g.embed_positions(embeddings_.positions)), g.embed_types(embeddings_.token_types));
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

constexpr std::string_view bert_classes[] = {"BertModel",
                                             "BertForMaskedLM",
                                             "BertForPreTraining",
                                             "BertForSequenceClassification",
                                             "RobertaModel",
                                             "RobertaForMaskedLM",
                                             "RobertaForSequenceClassification",
                                             "XLMRobertaModel",
                                             "XLMRobertaForMaskedLM",
                                             "XLMRobertaForSequenceClassification"};
constexpr std::string_view bert_prefixes[] = {"bert.", "roberta."};
constexpr std::pair<std::string_view, std::string_view> old_norm_names[] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                                                            {"LayerNorm.bias", "LayerNorm.beta"}};
// What training needs beside the vectors of the tokens.
constexpr std::string_view bert_ignored[] = {"embeddings.position_ids", "pooler.dense.", "cls.predictions.", "cls.seq_relationship.",
                                             "lm_head."};

bool has_class(const CheckpointConfig& config, std::string_view part) {
    for (const std::string& name : config.strings({"architectures"}))
        if (name.find(part) != std::string::npos) return true;
    return false;
}

/// RoBERTa counts positions from the padding token's id on; GGUF holds the rows from the first position on.
int64_t count_unused_positions(const CheckpointConfig& config) {
    if (!has_class(config, "Roberta") && !has_class(config, "RoBERTa")) return 0;
    const int64_t padding = config.integer({"pad_token_id"}).value_or(1);
    if (padding < 0 || padding >= config.require_integer({"max_position_embeddings"}) - 1)
        config.fail(concat("pad_token_id is ", padding, ", beyond max_position_embeddings"));
    return padding + 1;
}

void set_bert_keys(const CheckpointKeys& keys) {
    keys.config.require_value("hidden_act", "gelu");
    keys.config.require_value("position_embedding_type", "absolute");
    keys.require_integer("block_count", {"num_hidden_layers"});
    keys.require_integer("context_length", {"max_position_embeddings"});
    if (const int64_t n = count_unused_positions(keys.config))
        keys.set("context_length", static_cast<uint32_t>(keys.config.require_integer({"max_position_embeddings"}) - n));
    keys.require_integer("embedding_length", {"hidden_size"});
    keys.require_integer("feed_forward_length", {"intermediate_size"});
    keys.require_integer("attention.head_count", {"num_attention_heads"});
    keys.set("attention.layer_norm_epsilon", 1e-12f);  // what the config need not say
    keys.real("attention.layer_norm_epsilon", {"layer_norm_eps"});
    keys.set("attention.causal", false);
    keys.integer("vocab_size", {"vocab_size"});
    set_token_types(keys);
    if (has_class(keys.config, "ForSequenceClassification")) set_labels(keys);
}

/// BERT's head is its pooler and a matrix, RoBERTa's has names of its own.
void add_head(const CheckpointConfig& config, int64_t n, CheckpointTensors& tensors) {
    const bool is_bert = has_class(config, "BertFor") && count_unused_positions(config) == 0;
    const auto n_labels = static_cast<int64_t>(label_names(config).size());
    const auto add = [&](const char* gguf, const std::string& hf, const Shape& matrix) {
        tensors.add({.gguf = concat(gguf, ".weight"), .hf = hf + ".weight", .shape = matrix, .transform = {}, .values = {}});
        tensors.add({.gguf = concat(gguf, ".bias"), .hf = hf + ".bias", .shape = {matrix[0]}, .transform = {}, .values = {}});
    };
    add("cls", is_bert ? "pooler.dense" : "classifier.dense", {n, n});
    add("cls.output", is_bert ? "classifier" : "classifier.out_proj", {n_labels, n});
}

void list_bert_tensors(const GgufFile& keys, const CheckpointConfig& checkpoint, CheckpointTensors& tensors) {
    const DecoderConfig config = read_encoder_config(keys);
    CheckpointTensors embeddings;
    add_rows<BertEmbeddings>(BertEmbeddings::table(config, read_token_types(keys)), config, "", "", embeddings);
    for (ConvertedTensor tensor : embeddings.all()) {
        const int64_t n_unused = count_unused_positions(checkpoint);
        if (tensor.gguf == "position_embd.weight" && n_unused > 0) tensor.transform = skip_rows(n_unused);
        tensors.add(std::move(tensor));
    }
    for (int i = 0; i < config.n_layers; ++i)
        add_rows<BertLayer>(BertLayer::table(config), config, concat("blk.", i, "."), concat("encoder.layer.", i, "."), tensors);
    if (has_class(checkpoint, "ForSequenceClassification")) add_head(checkpoint, config.n_embd, tensors);
}

}  // namespace

const CheckpointFormat Bert::checkpoint{.classes = bert_classes,
                                        .embedding = "embeddings.word_embeddings.weight",
                                        .set_keys = set_bert_keys,
                                        .list_tensors = list_bert_tensors,
                                        .optional_prefixes = bert_prefixes,
                                        .old_ends = old_norm_names,
                                        .ignored = bert_ignored};

}  // namespace quern
