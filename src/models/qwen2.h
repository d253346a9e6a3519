// Qwen 1.5, 2 and 2.5: Llama's shape with biases on q, k and v, and NeoX-style rotary pairs. Source: Yang et al. 2024 (Qwen2).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Qwen2Layer {
    TensorView attn_norm, wq, wk, wv, wo, bq, bk, bv, ffn_norm, gate, up, down;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Qwen2Layer>> table(const DecoderConfig& c);
};

class Qwen2 final : public Decoder<Qwen2Layer> {
  public:
    explicit Qwen2(const GgufFile& file) : Decoder(file, RopeStyle::halves) {}
    static const CheckpointFormat checkpoint;

  private:
    Tensor forward(Graph& g, const Qwen2Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Qwen2Layer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
