// What every decoder-only family has around its layers: embedding table, final norm, output matrix.
#pragma once

#include <string>
#include <vector>

#include "models/layers/decoder_config.h"
#include "models/layers/read_pooling.h"
#include "models/model.h"
#include "models/weights.h"

namespace quern {

struct DecoderWeights {
    TensorView token_embd, position_embd, output_norm, output_norm_bias, output, output_bias;
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
    Decoder(const GgufFile& file, RopeStyle rope_style) : Decoder(file, read_decoder_config(file, rope_style)) {}

    /// For families that complete the configuration themselves.
    Decoder(const GgufFile& file, const DecoderConfig& config)
        : config_(config),
          frequencies_(rope_frequencies(config_.rope, read_factors(file, "rope_freqs.weight", config_))),
          pooling_(read_pooling(file)) {
        require_equal_heads(file, config_);
        load_weights<DecoderWeights>(file, outer_table<Layer>(config_), "", weights_);
        if (!weights_.output.data) weights_.output = weights_.token_embd;  // tied embeddings
        layers_.resize(static_cast<size_t>(config_.n_layers));
        for (int i = 0; i < config_.n_layers; ++i)
            load_weights<Layer>(file, layer_table<Layer>(config_, i), "blk." + std::to_string(i) + ".", layers_[static_cast<size_t>(i)]);
    }

    KvShape kv_shape() const override { return config_.kv_shape(); }
    int64_t n_embd() const override { return config_.n_embd; }
    int64_t n_vocab() const override { return config_.n_vocab; }
    int64_t n_ctx_train() const override { return config_.n_ctx_train; }
    std::optional<Pooling> pooling() const override { return pooling_; }

    Graph build_vectors(int64_t n_ctx) const override {
        Graph g;
        g.set_result(vectors(g, n_ctx));
        return g;
    }

    Graph build(int64_t n_ctx) const override {
        Graph g;
        Tensor x = g.matmul(weights_.output, vectors(g, n_ctx));  // [n_outputs, n_vocab]
        if (weights_.output_bias.data) x = g.add_bias(x, weights_.output_bias);
        if (config_.final_softcap > 0.0f) x = g.activate(x, {ActivationKind::softcap, config_.final_softcap});
        g.set_result(x);
        return g;
    }

  protected:
    /// One layer: x [n_tokens, n_embd] in and out. `layer` names its KV cache, `rope` its rotary embedding.
    virtual Tensor forward(Graph& g, const Layer& w, Tensor x, int layer, int rope) const = 0;
    virtual Tensor embed(Graph& g) const { return g.embed(weights_.token_embd); }
    virtual Tensor final_norm(Graph& g, Tensor x) const { return g.rms_norm(x, weights_.output_norm, config_.norm_eps); }
    virtual std::vector<Rope> ropes(int64_t n_ctx) const {
        (void)n_ctx;
        return {{frequencies_, config_.rope.style}};
    }
    /// Which of ropes() a layer takes.
    virtual int rope_of(int layer) const {
        (void)layer;
        return 0;
    }

    const DecoderConfig config_;
    const RopeFrequencies frequencies_;
    DecoderWeights weights_;

  private:
    /// All layers and the final norm: [n_outputs, n_embd].
    Tensor vectors(Graph& g, int64_t n_ctx) const {
        for (Rope& each : ropes(n_ctx)) g.add_rope(std::move(each));
        Tensor x = embed(g);  // [n_tokens, n_embd]
        for (int layer = 0; layer < config_.n_layers; ++layer)
            x = forward(g, layers_[static_cast<size_t>(layer)], x, layer, rope_of(layer));
        return final_norm(g, g.select_outputs(x));
    }

    const std::optional<Pooling> pooling_;
    std::vector<Layer> layers_;
};

}  // namespace quern
