// Qwen 3 as a mixture of experts. Source: Qwen Team 2025 (Qwen3 technical report).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Qwen3MoeLayer {
    TensorView attn_norm, wq, wk, wv, wo, q_norm, k_norm, ffn_norm, router, gate_exps, up_exps, down_exps;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Qwen3MoeLayer>> table(const DecoderConfig& c);
};

class Qwen3Moe final : public Decoder<Qwen3MoeLayer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Qwen3Moe(const GgufFile& file) : Decoder(file, read_config(file)) {}

  private:
    static DecoderConfig read_config(const GgufFile& file);
    Tensor forward(Graph& g, const Qwen3MoeLayer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Qwen3MoeLayer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
