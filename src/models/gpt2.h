// GPT-2: learned positions, layer norms with biases, q, k, v in one matrix, a plain GELU feed-forward. Hugging Face keeps its matrices
// transposed. Source: Radford et al. 2019, "Language models are unsupervised multitask learners".
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct Gpt2Layer {
    TensorView attn_norm, attn_norm_bias, wqkv, bqkv, wo, bo, ffn_norm, ffn_norm_bias, up, up_bias, down, down_bias;
    static constexpr std::string_view hf_prefix = "transformer.h.";
    static std::vector<WeightRow<Gpt2Layer>> table(const DecoderConfig& c);
    static std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c);
};

class Gpt2 final : public Decoder<Gpt2Layer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Gpt2(const GgufFile& file);
    int64_t n_ctx_most() const override { return config_.n_ctx_train; }

  private:
    std::vector<Rope> ropes(int64_t) const override { return {}; }
    Tensor embed(Graph& g) const override;
    Tensor final_norm(Graph& g, Tensor x) const override;
    Tensor forward(Graph& g, const Gpt2Layer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const Gpt2Layer& w, Tensor x, int layer) const;
};

}  // namespace quern
