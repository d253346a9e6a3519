// DeepSeek V2, V2-Lite, V3 and R1: latent attention and, after some dense layers, experts with shared ones beside them.
// Keys and values of a head are products of one short vector for each token, c. What would make keys of c is multiplied into q instead, and
// what would make values into the result: the cache holds c and one rotary key for all heads.
// Sources: DeepSeek-AI 2024, "DeepSeek-V2" (section 2.1) and "DeepSeek-V3" (routing).
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct DeepSeek2Layer {
    TensorView attn_norm, wq, wq_a, q_a_norm, wq_b, wkv_a, kv_a_norm, wk_b, wv_b, wo, ffn_norm;
    TensorView gate, up, down;  // of dense layers
    TensorView router, router_bias, gate_exps, up_exps, down_exps, shared_gate, shared_up, shared_down;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<DeepSeek2Layer>> table(const DecoderConfig& c, int layer);
};

class DeepSeek2 final : public Decoder<DeepSeek2Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit DeepSeek2(const GgufFile& file) : Decoder(file, read_config(file)) {}
    static DecoderConfig read_config(const GgufFile& file);

  private:
    Tensor forward(Graph& g, const DeepSeek2Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const DeepSeek2Layer& w, Tensor x, int layer, int rope) const;
    Tensor feed_forward(Graph& g, const DeepSeek2Layer& w, Tensor x) const;
};

}  // namespace quern
