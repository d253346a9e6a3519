// Qwen 3: Llama's shape with a norm of each head of q and k before they turn. Source: Qwen Team 2025 (Qwen3 technical report).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Qwen3Layer {
    TensorView attn_norm, wq, wk, wv, wo, q_norm, k_norm, ffn_norm, gate, up, down;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Qwen3Layer>> table(const DecoderConfig& c);
};

class Qwen3 final : public Decoder<Qwen3Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Qwen3(const GgufFile& file) : Decoder(file, RopeStyle::halves) { require_no_experts(file, config_); }

  private:
    Tensor forward(Graph& g, const Qwen3Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Qwen3Layer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
