// nomic-bert: BERT with rotary positions, a gated feed-forward layer, and no biases but those of the norms.
// Source: Nussbaum et al. 2024, "Nomic Embed: training a reproducible long context text embedder".
#pragma once

#include <vector>

#include "models/checkpoint.h"
#include "models/layers/encoder.h"

namespace quern {

struct NomicBertLayer {
    TensorView wqkv, wo, attn_norm, attn_norm_bias, up, gate, down, norm, norm_bias;
    static std::vector<WeightRow<NomicBertLayer>> table(const DecoderConfig& c);
};

/// What stands before the layers.
struct NomicBertEmbeddings {
    TensorView tokens, token_types, norm, norm_bias;
    static std::vector<WeightRow<NomicBertEmbeddings>> table(const DecoderConfig& c, int64_t n_token_types);
};

class NomicBert final : public Encoder {
  public:
    static const CheckpointFormat checkpoint;
    explicit NomicBert(const GgufFile& file);

    Graph build_vectors(int64_t n_ctx) const override;

  private:
    Tensor layer(Graph& g, const NomicBertLayer& w, Tensor x, int number) const;

    const RopeFrequencies frequencies_;
    NomicBertEmbeddings embeddings_;
    std::vector<NomicBertLayer> layers_;
};

}  // namespace quern
