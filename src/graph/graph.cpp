#include "graph/graph.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace quern {

Tensor Graph::append(Node node, int n_heads) {
    nodes_.push_back(std::move(node));
    return {static_cast<int32_t>(nodes_.size() - 1), n_heads};
}

Tensor Graph::embed(const TensorView& table) { return append({.op = Op::embed, .weight = table, .n_cols = table.shape.n_cols()}); }

Tensor Graph::embed_positions(const TensorView& table) {
    return append({.op = Op::embed_positions, .weight = table, .n_cols = table.shape.n_cols()});
}

Tensor Graph::embed_types(const TensorView& table) {
    return append({.op = Op::embed_types, .weight = table, .n_cols = table.shape.n_cols()});
}

Tensor Graph::norm(Tensor x, Node node) {
    const Node& input = nodes_[static_cast<size_t>(x.id)];
    QUERN_CHECK(node.weight.dtype == DType::f32 && input.n_cols % node.weight.shape.n_cols() == 0);
    QUERN_CHECK(!node.bias.data || (node.bias.dtype == DType::f32 && node.bias.shape == node.weight.shape));
    node.op = Op::norm;
    node.inputs[0] = x.id;
    node.n_cols = input.n_cols;
    node.output_rows = input.output_rows;
    return append(std::move(node), x.n_heads);
}

Tensor Graph::rms_norm(Tensor x, const TensorView& weight, float eps) { return norm(x, {.weight = weight, .scalar = eps}); }

Tensor Graph::layer_norm(Tensor x, const TensorView& weight, const TensorView& bias, float eps) {
    return norm(x, {.weight = weight, .scalar = eps, .norm = NormKind::layer, .bias = bias});
}

Tensor Graph::matmul(const TensorView& weight, Tensor x) {
    const Node& input = node(x.id);
    QUERN_CHECK(weight.shape.rank() == 2 && weight.shape[1] == input.n_cols);
    return append(
        {.op = Op::matmul, .inputs = {x.id, -1, -1}, .weight = weight, .n_cols = weight.shape[0], .output_rows = input.output_rows});
}

Tensor Graph::add_bias(Tensor x, const TensorView& bias) {
    const Node& input = node(x.id);
    QUERN_CHECK(bias.dtype == DType::f32 && bias.shape.n_values() == input.n_cols);
    return append({.op = Op::add_bias, .inputs = {x.id, -1, -1}, .weight = bias, .n_cols = input.n_cols, .output_rows = input.output_rows},
                  x.n_heads);
}

Tensor Graph::add(Tensor a, Tensor b) {
    QUERN_CHECK(node(a.id).n_cols == node(b.id).n_cols && node(a.id).output_rows == node(b.id).output_rows);
    return append({.op = Op::add, .inputs = {a.id, b.id, -1}, .n_cols = node(a.id).n_cols, .output_rows = node(a.id).output_rows},
                  a.n_heads);
}

Tensor Graph::multiply(Tensor a, Tensor b) {
    QUERN_CHECK(node(b.id).n_cols == node(a.id).n_cols || node(b.id).n_cols == 1);
    QUERN_CHECK(node(a.id).output_rows == node(b.id).output_rows);
    return append({.op = Op::multiply, .inputs = {a.id, b.id, -1}, .n_cols = node(a.id).n_cols, .output_rows = node(a.id).output_rows},
                  a.n_heads);
}

Tensor Graph::scale(Tensor x, float factor) {
    const Node& input = node(x.id);
    return append({.op = Op::scale, .inputs = {x.id, -1, -1}, .n_cols = input.n_cols, .output_rows = input.output_rows, .scalar = factor},
                  x.n_heads);
}

Tensor Graph::activate(Tensor x, Activation activation) {
    const Node& input = node(x.id);
    QUERN_CHECK(activation.kind != ActivationKind::softcap || activation.limit > 0.0f);
    return append(
        {.op = Op::activate, .inputs = {x.id, -1, -1}, .n_cols = input.n_cols, .output_rows = input.output_rows, .activation = activation},
        x.n_heads);
}

Tensor Graph::heads(Tensor x, int n_heads) const {
    QUERN_CHECK(node(x.id).n_cols % n_heads == 0);
    return {x.id, n_heads};
}

Tensor Graph::slice_heads(Tensor x, int64_t first, int64_t n) {
    const Node& input = node(x.id);
    QUERN_CHECK(first >= 0 && n > 0 && first + n <= input.n_cols / x.n_heads);
    return append({.op = Op::slice_heads,
                   .inputs = {x.id, -1, -1},
                   .n_cols = n * x.n_heads,
                   .output_rows = input.output_rows,
                   .first = first,
                   .n_heads = x.n_heads},
                  x.n_heads);
}

Tensor Graph::join_heads(Tensor a, Tensor b) {
    QUERN_CHECK(a.n_heads == b.n_heads && node(a.id).output_rows == node(b.id).output_rows);
    return append({.op = Op::join_heads,
                   .inputs = {a.id, b.id, -1},
                   .n_cols = node(a.id).n_cols + node(b.id).n_cols,
                   .output_rows = node(a.id).output_rows,
                   .n_heads = a.n_heads},
                  a.n_heads);
}

Tensor Graph::head_matmul(const TensorView& weight, Tensor x) {
    const Node& input = node(x.id);
    QUERN_CHECK(weight.shape.rank() == 3 && weight.shape[0] == x.n_heads && weight.shape[2] * x.n_heads == input.n_cols);
    return append({.op = Op::head_matmul,
                   .inputs = {x.id, -1, -1},
                   .weight = weight,
                   .n_cols = weight.shape[1] * x.n_heads,
                   .output_rows = input.output_rows,
                   .n_heads = x.n_heads},
                  x.n_heads);
}

int Graph::add_rope(Rope rope) {
    ropes_.push_back(std::move(rope));
    return static_cast<int>(ropes_.size() - 1);
}

Tensor Graph::rope(Tensor x, int rope) {
    const int64_t head_dim = node(x.id).n_cols / x.n_heads;
    QUERN_CHECK(!node(x.id).output_rows);
    QUERN_CHECK(static_cast<int64_t>(ropes_[static_cast<size_t>(rope)].frequencies.inverse.size()) * 2 <= head_dim);
    return append({.op = Op::rope,
                   .inputs = {x.id, -1, -1},
                   .n_cols = node(x.id).n_cols,
                   .n_heads = x.n_heads,
                   .head_dim = static_cast<int>(head_dim),
                   .rope = rope},
                  x.n_heads);
}

Tensor Graph::attend(Tensor q, Tensor k, Tensor v, int layer, const Attention& attention) {
    const int64_t head_dim = node(q.id).n_cols / q.n_heads;
    QUERN_CHECK(node(k.id).n_cols == head_dim * k.n_heads && node(v.id).n_cols == head_dim * k.n_heads && q.n_heads % k.n_heads == 0);
    QUERN_CHECK(!attention.sinks.data || (attention.sinks.dtype == DType::f32 && attention.sinks.shape.n_values() == q.n_heads));
    return append({.op = Op::attend,
                   .inputs = {q.id, k.id, v.id},
                   .n_cols = node(q.id).n_cols,
                   .attention = attention,
                   .n_heads = q.n_heads,
                   .n_kv_heads = k.n_heads,
                   .head_dim = static_cast<int>(head_dim),
                   .layer = layer},
                  q.n_heads);
}

void Graph::replace_weight(const std::byte* data, const TensorView& instead) {
    for (Node& node : nodes_) {
        if (node.weight.data != data) continue;
        QUERN_CHECK(node.weight.shape.n_values() == instead.shape.n_values());
        node.weight = {instead.dtype, node.weight.shape, instead.data};
    }
}

int Graph::adapt(const TensorView& weight, Op reader, const AdapterFactors& factors) {
    int n_places = 0;
    for (Node& node : nodes_) {
        const std::byte* const data = node.weight.data;
        if (node.op != reader || data < weight.data || data >= weight.data + weight.bytes()) continue;
        if (weight.shape.rank() != 2 || node.weight.shape.n_cols() != weight.shape.n_cols()) continue;
        AdapterFactors part = factors;
        const uint64_t bytes = row_bytes(weight.dtype, static_cast<uint64_t>(weight.shape.n_cols()));
        if (reader == Op::matmul) part.b += static_cast<uint64_t>(data - weight.data) / bytes;
        node.adapters.push_back(part);
        ++n_places;
    }
    if (reader != Op::matmul) return n_places;
    for (Experts& each : experts_) {
        const ExpertWeights& w = each.weights;
        for (const auto& [view, list] :
             {std::pair(&w.gate, &each.gate_adapters), {&w.up, &each.up_adapters}, {&w.down, &each.down_adapters}})
            if (view->data == weight.data && view->shape == weight.shape) {
                list->push_back(factors);
                ++n_places;
            }
    }
    return n_places;
}

Tensor Graph::experts(Tensor x, Tensor logits, const Experts& experts) {
    const ExpertWeights& w = experts.weights;
    const Node& input = node(x.id);
    QUERN_CHECK(w.gate.shape.rank() == 3 && w.up.shape == w.gate.shape && w.gate.shape[2] == input.n_cols && !input.output_rows);
    QUERN_CHECK(w.down.shape == (Shape{w.gate.shape[0], input.n_cols, w.gate.shape[1]}));
    QUERN_CHECK(node(logits.id).n_cols == w.gate.shape[0] && experts.routing.n_experts == w.gate.shape[0]);
    experts_.push_back(experts);
    return append(
        {.op = Op::experts, .inputs = {x.id, logits.id, -1}, .n_cols = input.n_cols, .experts = static_cast<int>(experts_.size() - 1)});
}

std::vector<TensorView> Graph::matrices(const Node& node) const {
    constexpr Op with_matrix[] = {Op::matmul, Op::embed, Op::embed_positions, Op::embed_types, Op::head_matmul};
    if (std::find(std::begin(with_matrix), std::end(with_matrix), node.op) != std::end(with_matrix)) return {node.weight};
    if (node.op != Op::experts) return {};
    const ExpertWeights& w = experts_[static_cast<size_t>(node.experts)].weights;
    return {w.gate, w.up, w.down};
}

uint64_t Graph::weight_bytes_per_token(const Node& node) const {
    if (node.op == Op::matmul || node.op == Op::head_matmul) return node.weight.bytes();
    if (node.op != Op::experts) return 0;
    const Experts& experts = experts_[static_cast<size_t>(node.experts)];
    const ExpertWeights& weights = experts.weights;
    const Routing& routing = experts.routing;
    const uint64_t all = weights.gate.bytes() + weights.up.bytes() + weights.down.bytes();
    return all / static_cast<uint64_t>(routing.n_experts) * static_cast<uint64_t>(routing.n_used);
}

Tensor Graph::select_outputs(Tensor x) {
    QUERN_CHECK(!node(x.id).output_rows);
    return append({.op = Op::select_outputs, .inputs = {x.id, -1, -1}, .n_cols = node(x.id).n_cols, .output_rows = true}, x.n_heads);
}

}  // namespace quern
