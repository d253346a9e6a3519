// BERT: an encoder that gives a vector for each token. Learned positions, every token sees all others, norms after the residuals.
// Source: Devlin et al. 2018, "BERT: pre-training of deep bidirectional transformers for language understanding".
#pragma once

#include <vector>

#include "models/checkpoint.h"
#include "models/layers/decoder_config.h"
#include "models/model.h"

namespace quern {

struct BertLayer {
    TensorView wq, bq, wk, bk, wv, bv, wo, bo, attn_norm, attn_norm_bias, up, up_bias, down, down_bias, norm, norm_bias;
    static std::vector<WeightRow<BertLayer>> table(const DecoderConfig& c);
};

/// What stands before the layers.
struct BertEmbeddings {
    TensorView tokens, positions, token_types, norm, norm_bias;
    static std::vector<WeightRow<BertEmbeddings>> table(const DecoderConfig& c, int64_t n_token_types);
};

class Bert final : public Model {
  public:
    static const CheckpointFormat checkpoint;
    explicit Bert(const GgufFile& file);

    KvShape kv_shape() const override { return config_.kv_shape(); }
    int64_t n_embd() const override { return config_.n_embd; }
    int64_t n_vocab() const override { return config_.n_vocab; }
    int64_t n_ctx_train() const override { return config_.n_ctx_train; }
    int64_t n_ctx_most() const override { return config_.n_ctx_train; }
    std::optional<Pooling> pooling() const override { return pooling_; }
    Graph build(int64_t n_ctx) const override;

  private:
    Tensor layer(Graph& g, const BertLayer& w, Tensor x, int number) const;

    const DecoderConfig config_;
    const Pooling pooling_;
    BertEmbeddings embeddings_;
    std::vector<float> first_type_;  // a text alone has tokens of the first type only
    std::vector<BertLayer> layers_;
};

}  // namespace quern
