// Qwen of 2023 (Qwen-7B-Chat and its kin): Llama's shape with q, k, v in one matrix with a bias, and full multi-head attention.
// Source: Bai et al. 2023 (Qwen technical report). Its dynamic base and log-n scaling beyond the trained window are not applied.
#pragma once

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

struct QwenLayer {
    TensorView attn_norm, wqkv, bqkv, wo, ffn_norm, gate, up, down;
    static constexpr std::string_view hf_prefix = "transformer.h.";
    static std::vector<WeightRow<QwenLayer>> table(const DecoderConfig& c);
    static std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c);
};

class Qwen final : public Decoder<QwenLayer> {
  public:
    static const CheckpointFormat checkpoint;
    explicit Qwen(const GgufFile& file) : Decoder(file, read_config(file)) { require_no_experts(file, config_); }

  private:
    static DecoderConfig read_config(const GgufFile& file);
    Tensor forward(Graph& g, const QwenLayer& w, Tensor x, int layer, int rope) const override;
    Tensor attention(Graph& g, const QwenLayer& w, Tensor x, int layer, int rope) const;
};

}  // namespace quern
