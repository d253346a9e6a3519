// gpt-oss: a mixture of experts with biases everywhere, a learned sink in every head's softmax, a sliding window in every second layer (the
// first included) and clamped SwiGLU experts. Source: OpenAI 2025, gpt-oss-120b & gpt-oss-20b model card.
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct GptOssLayer {
    TensorView attn_norm, wq, wk, wv, wo, bq, bk, bv, bo, sinks, ffn_norm, router, router_bias;
    TensorView gate_exps, up_exps, down_exps, gate_exps_bias, up_exps_bias, down_exps_bias;
    static constexpr std::string_view hf_prefix = "model.layers.";
    static std::vector<WeightRow<GptOssLayer>> table(const DecoderConfig& c);
};

class GptOss final : public Decoder<GptOssLayer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit GptOss(const GgufFile& file) : Decoder(file, read_config(file)) {}

  private:
    static DecoderConfig read_config(const GgufFile& file);
    Tensor forward(Graph& g, const GptOssLayer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const GptOssLayer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
