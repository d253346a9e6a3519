// Phi 3, 3.5 and 4-mini: Llama's shape with q, k, v in one matrix, gate and up in another, and, for windows of 128k, one set of rotary
// factors for short and one for long windows. Sources: Abdin et al. 2024 (Phi-3); Ding et al. 2024 (LongRoPE).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Phi3Layer {
    TensorView attn_norm, wqkv, wo, ffn_norm, gate_up, down;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Phi3Layer>> table(const DecoderConfig& c);
};

class Phi3 final : public Decoder<Phi3Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Phi3(const GgufFile& file);

  private:
    std::vector<Rope> ropes(int64_t n_ctx) const override;
    Tensor forward(Graph& g, const Phi3Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Phi3Layer& w, Tensor x, int layer, int rope) const;

    RopeFrequencies short_frequencies_, long_frequencies_;
};

}  // namespace quern
