// Blocks that several families share.
#pragma once

#include "graph/graph.h"

namespace quern {

/// down * (silu(gate * x) * (up * x)). Source: Shazeer 2020, "GLU variants improve transformer".
inline Tensor swiglu_feed_forward(Graph& g, const TensorView& gate, const TensorView& up, const TensorView& down, Tensor x) {
    return g.matmul(down, g.multiply(g.silu(g.matmul(gate, x)), g.matmul(up, x)));
}

/// weight * x + bias, without the bias where the file has none.
inline Tensor linear(Graph& g, const TensorView& weight, const TensorView& bias, Tensor x) {
    const Tensor product = g.matmul(weight, x);
    return bias.data ? g.add_bias(product, bias) : product;
}

}  // namespace quern
