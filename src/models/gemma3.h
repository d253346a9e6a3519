// Gemma 3 (its text part): Gemma 2 with norms of each head of q and k instead of the soft cap on scores; five layers with a sliding window
// and a rotary base of their own, then one that sees everything. Source: Gemma Team 2025 (Gemma 3 technical report).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Gemma3Layer {
    TensorView attn_norm, wq, wk, wv, wo, q_norm, k_norm, attn_post_norm, ffn_norm, gate, up, down, ffn_post_norm;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<Gemma3Layer>> table(const DecoderConfig& c);
    static std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c);
};

class Gemma3 final : public Decoder<Gemma3Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Gemma3(const GgufFile& file);

  private:
    static DecoderConfig read_config(const GgufFile& file);
    bool is_local(int layer) const { return config_.window > 0 && layer % 6 < 5; }
    std::vector<Rope> ropes(int64_t n_ctx) const override;
    int rope_of(int layer) const override { return is_local(layer) ? 1 : 0; }
    Tensor embed(Graph& g) const override;
    Tensor forward(Graph& g, const Gemma3Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Gemma3Layer& w, Tensor x, int layer, int rope) const;

    RopeFrequencies local_frequencies_;
};

}  // namespace quern
