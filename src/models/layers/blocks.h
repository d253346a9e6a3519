// Blocks that several families share.
#pragma once

#include <cmath>
#include <vector>

#include "graph/graph.h"
#include "models/layers/decoder.h"

namespace quern {

/// down * (silu(gate * x) * (up * x)). Source: Shazeer 2020, "GLU variants improve transformer".
inline Tensor swiglu_feed_forward(Graph& g, const TensorView& gate, const TensorView& up, const TensorView& down, Tensor x) {
    return g.matmul(down, g.multiply(g.silu(g.matmul(gate, x)), g.matmul(up, x)));
}

/// down * (gelu(gate * x) * (up * x)), with GELU's approximation by tanh.
inline Tensor geglu_feed_forward(Graph& g, const TensorView& gate, const TensorView& up, const TensorView& down, Tensor x) {
    return g.matmul(down, g.multiply(g.activate(g.matmul(gate, x), {ActivationKind::gelu_tanh}), g.matmul(up, x)));
}

/// Gemma's embedding: the table's rows times sqrt(n_embd).
inline Tensor scaled_embedding(Graph& g, const TensorView& table) {
    return g.scale(g.embed(table), std::sqrt(static_cast<float>(table.shape.n_cols())));
}

/// Gemma's table of what surrounds the layers: as Llama's, but GGUF keeps 1 + weight of the norm.
inline std::vector<WeightRow<DecoderWeights>> gemma_outer_table(const DecoderConfig& c) {
    std::vector<WeightRow<DecoderWeights>> table = DecoderWeights::table(c);
    for (WeightRow<DecoderWeights>& row : table)
        if (row.field == &DecoderWeights::output_norm) row.form = HfForm::plus_one;
    return table;
}

/// weight * x + bias, without the bias where the file has none.
inline Tensor linear(Graph& g, const TensorView& weight, const TensorView& bias, Tensor x) {
    const Tensor product = g.matmul(weight, x);
    return bias.data ? g.add_bias(product, bias) : product;
}

}  // namespace quern
