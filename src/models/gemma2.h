// Gemma 2: Gemma with norms after attention and feed-forward too, soft caps on scores and logits, and a sliding window in every second
// layer, the first included. Source: Gemma Team 2024, "Gemma 2: improving open language models at a practical size".
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Gemma2Layer {
    TensorView attn_norm, wq, wk, wv, wo, attn_post_norm, ffn_norm, gate, up, down, ffn_post_norm;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Gemma2Layer>> table(const DecoderConfig& c);
    static std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c);
};

class Gemma2 final : public Decoder<Gemma2Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Gemma2(const GgufFile& file) : Decoder(file, read_config(file)) { require_no_experts(file, config_); }

  private:
    static DecoderConfig read_config(const GgufFile& file);
    Tensor embed(Graph& g) const override;
    Tensor forward(Graph& g, const Gemma2Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Gemma2Layer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
