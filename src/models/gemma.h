// Gemma 1: Llama's shape with scaled embeddings, wide heads and GELU gates; always tied. GGUF keeps the norms' 1 + weight.
// Source: Gemma Team 2024, "Gemma: open models based on Gemini research and technology".
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct GemmaLayer {
    TensorView attn_norm, wq, wk, wv, wo, ffn_norm, gate, up, down;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<GemmaLayer>> table(const DecoderConfig& c);
    static std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c);
};

class Gemma final : public Decoder<GemmaLayer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Gemma(const GgufFile& file) : Decoder(file, RopeStyle::halves) { require_no_experts(file, config_); }

  private:
    Tensor embed(Graph& g) const override;
    Tensor forward(Graph& g, const GemmaLayer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const GemmaLayer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
