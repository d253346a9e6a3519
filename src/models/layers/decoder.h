// What every decoder-only family has around its layers: embedding table, final norm, output matrix.
#pragma once

#include <string>
#include <vector>

#include "models/layers/decoder_config.h"
#include "models/model.h"
#include "models/weights.h"

namespace quern {

struct DecoderWeights {
    TensorView token_embd, output_norm, output;
    static std::vector<WeightRow<DecoderWeights>> table(const DecoderConfig& c);
};

/// The table of what surrounds the layers: the family's own, or the one of Llama's shape.
template <typename Layer>
std::vector<WeightRow<DecoderWeights>> outer_table(const DecoderConfig& c) {
    if constexpr (requires { Layer::outer_table(c); })
        return Layer::outer_table(c);
    else
        return DecoderWeights::table(c);
}

/// The table of one layer; in some families, layers differ.
template <typename Layer>
std::vector<WeightRow<Layer>> layer_table(const DecoderConfig& c, int layer) {
    if constexpr (requires { Layer::table(c, layer); })
        return Layer::table(c, layer);
    else
        return Layer::table(c);
}

/// A family derives from this, brings its `Layer` (views and their table()) and writes forward() for one layer.
template <typename Layer>
class Decoder : public Model {
  public:
    Decoder(const GgufFile& file, RopeStyle rope_style)
        : config_(read_decoder_config(file, rope_style)),
          frequencies_(rope_frequencies(config_.rope, read_frequency_factors(file, config_))) {
        load_weights<DecoderWeights>(file, DecoderWeights::table(config_), "", weights_);
        if (!weights_.output.data) weights_.output = weights_.token_embd;  // tied embeddings
        const std::vector<WeightRow<Layer>> table = Layer::table(config_);
        layers_.resize(static_cast<size_t>(config_.n_layers));
        for (size_t i = 0; i < layers_.size(); ++i) load_weights<Layer>(file, table, "blk." + std::to_string(i) + ".", layers_[i]);
    }

    KvShape kv_shape() const override { return config_.kv_shape(); }
    int64_t n_embd() const override { return config_.n_embd; }
    int64_t n_vocab() const override { return config_.n_vocab; }
    int64_t n_ctx_train() const override { return config_.n_ctx_train; }

    Graph build() const override {
        Graph g;
        const int rope = g.add_rope({frequencies_, config_.rope.style});
        Tensor x = g.embed(weights_.token_embd);  // [n_tokens, n_embd]
        for (int layer = 0; layer < config_.n_layers; ++layer) x = forward(g, layers_[static_cast<size_t>(layer)], x, layer, rope);
        x = g.rms_norm(g.select_outputs(x), weights_.output_norm, config_.norm_eps);
        g.set_result(g.matmul(weights_.output, x));  // [n_outputs, n_vocab]
        return g;
    }

  protected:
    /// One layer: x [n_tokens, n_embd] in and out. `layer` names its KV cache, `rope` the model's rotary embedding.
    virtual Tensor forward(Graph& g, const Layer& w, Tensor x, int layer, int rope) const = 0;

    const DecoderConfig config_;

  private:
    const RopeFrequencies frequencies_;
    DecoderWeights weights_;
    std::vector<Layer> layers_;
};

}  // namespace quern
