// Qwen 1.5 and 2 as mixtures of experts: besides the chosen experts, a shared one takes every token, weighed by a gate of its own.
// Source: Yang et al. 2024 (Qwen2 technical report).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Qwen2MoeLayer {
    TensorView attn_norm, wq, wk, wv, wo, bq, bk, bv, ffn_norm, router, gate_exps, up_exps, down_exps, shared_gate_inp, shared_gate,
        shared_up, shared_down;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Qwen2MoeLayer>> table(const DecoderConfig& c);
};

class Qwen2Moe final : public Decoder<Qwen2MoeLayer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Qwen2Moe(const GgufFile& file) : Decoder(file, read_config(file)) {}

  private:
    static DecoderConfig read_config(const GgufFile& file);
    Tensor feed_forward(Graph& g, const Qwen2MoeLayer& w, Tensor x) const;
    Tensor forward(Graph& g, const Qwen2MoeLayer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Qwen2MoeLayer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
