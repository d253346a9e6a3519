// The Llama family: Llama 1 to 3.3, DeepSeek LLM and Coder, Mistral, Yi, SmolLM2 and, but for one thing, SmolLM3; and Mixtral, whose
// feed-forward layers are experts. Pre-norm decoder, rotary positions, grouped-query attention, SwiGLU. Source: Touvron et al. 2023 (Llama,
// Llama 2); Grattafiori et al. 2024 (Llama 3: frequency factors); Jiang et al. 2024 (Mixtral).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct LlamaLayer {
    TensorView attn_norm, wq, wk, wv, wo, bq, bk, bv, bo, ffn_norm, gate, up, down, router, gate_exps, up_exps, down_exps;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<LlamaLayer>> table(const DecoderConfig& c);
};

class Llama : public Decoder<LlamaLayer> {
  public:
    /// GGUF files of this architecture hold q and k with their rows permuted, so that the values of a rotary pair are neighbours.
    explicit Llama(const GgufFile& file) : Decoder(file, RopeStyle::adjacent) {}
    static const CheckpointFormat checkpoint;

  protected:
    /// Whether q and k of the layer turn with their positions.
    virtual bool turns(int) const { return true; }

  private:
    Tensor forward(Graph& g, const LlamaLayer& w, Tensor x, int layer, int rope) const override;
    Tensor feed_forward(Graph& g, const LlamaLayer& w, Tensor x) const;
    Tensor attention(Graph& g, const LlamaLayer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
