// BERT, RoBERTa and XLM-RoBERTa: encoders that give a vector for each token. Learned positions, every token sees all others, norms after
// the residuals. Sources: Devlin et al. 2018 (BERT), Liu et al. 2019 (RoBERTa), Conneau et al. 2019 (XLM-R).
#pragma once

#include <vector>

#include "models/checkpoint.h"
#include "models/layers/encoder.h"

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

class Bert final : public Encoder {
  public:
    static const CheckpointFormat checkpoint;
    explicit Bert(const GgufFile& file);

    int64_t n_ctx_most() const override { return config_.n_ctx_train; }
    Graph build_vectors(int64_t n_ctx) const override;

  private:
    Tensor layer(Graph& g, const BertLayer& w, Tensor x, int number) const;

    BertEmbeddings embeddings_;
    std::vector<BertLayer> layers_;
};

}  // namespace quern
