// StarCoder 2: Llama's attention with biases, layer norms, a plain GELU feed-forward. Source: Lozhkov et al. 2024 (StarCoder 2).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct StarCoder2Layer {
    TensorView attn_norm, attn_norm_bias, wq, wk, wv, wo, bq, bk, bv, bo, ffn_norm, ffn_norm_bias, up, up_bias, down, down_bias;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<StarCoder2Layer>> table(const DecoderConfig& c);
    static std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c);
};

class StarCoder2 final : public Decoder<StarCoder2Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit StarCoder2(const GgufFile& file) : Decoder(file, RopeStyle::halves) { require_no_experts(file, config_); }

  private:
    Tensor final_norm(Graph& g, Tensor x) const override;
    Tensor forward(Graph& g, const StarCoder2Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const StarCoder2Layer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
