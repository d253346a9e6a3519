#include "graph/fusion.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

class Lowering {
  public:
    Lowering(const Graph& graph, Fusion fusion)
        : graph_(graph),
          fuse_(fusion == Fusion::on),
          consumers_(graph.nodes().size()),
          absorbed_(graph.nodes().size()),
          value_of_(graph.nodes().size(), -1) {
        for (int32_t id = 0; id < n_nodes(); ++id)
            for (const int32_t input : graph.node(id).inputs)
                if (input >= 0) consumers_[at(input)].push_back(id);
        stored_.resize(graph.nodes().size());
    }

    Plan finish() {
        for (int32_t id = 0; id < n_nodes(); ++id)
            if (!absorbed_[at(id)]) lower_node(id);
        plan_.result = value_of_[at(graph_.result())];
        set_lifetimes();
        return std::move(plan_);
    }

  private:
    static size_t at(int32_t id) { return static_cast<size_t>(id); }
    int32_t n_nodes() const { return static_cast<int32_t>(graph_.nodes().size()); }

    ValueId new_value(int32_t id) {
        const Node& node = graph_.node(id);
        plan_.values.push_back({.n_cols = node.n_cols, .output_rows = node.output_rows});
        return value_of_[at(id)] = static_cast<ValueId>(plan_.values.size() - 1);
    }
    ValueId value(int32_t id) const {
        QUERN_CHECK(value_of_[at(id)] >= 0);
        return value_of_[at(id)];
    }
    // The only reader of a node's value, or -1.
    int32_t only_consumer(int32_t id) const {
        const auto& readers = consumers_[at(id)];
        return readers.size() == 1 && id != graph_.result() ? readers.front() : -1;
    }

    void lower_node(int32_t id) {
        const Node& node = graph_.node(id);
        switch (node.op) {
            case Op::embed:
                plan_.steps.push_back(EmbedStep{node.weight, new_value(id), EmbedBy::token, node.adapters});
                return;
            case Op::embed_positions:
                plan_.steps.push_back(EmbedStep{node.weight, new_value(id), EmbedBy::position, node.adapters});
                return;
            case Op::embed_types:
                plan_.steps.push_back(EmbedStep{node.weight, new_value(id), EmbedBy::type});
                return;
            case Op::norm:
                if (!norm_joins_matmuls(id)) lower_norm(id);
                return;
            case Op::matmul:
                lower_matmuls(id);
                return;
            case Op::attend:
                lower_attend(id);
                return;
            case Op::slice_heads:
                plan_.steps.push_back(
                    CopyHeadsStep{value(node.inputs[0]), new_value(id), node.n_heads, node.n_cols / node.n_heads, node.first, 0});
                return;
            case Op::join_heads:
                lower_join(id);
                return;
            case Op::head_matmul:
                plan_.steps.push_back(HeadMatmulStep{node.weight, value(node.inputs[0]), new_value(id)});
                return;
            case Op::experts:
                lower_experts(id);
                return;
            case Op::rope:
                lower_rope(id);
                return;
            case Op::select_outputs:
                plan_.steps.push_back(SelectStep{value(node.inputs[0]), new_value(id)});
                return;
            case Op::add_bias:
                lower_elementwise(id, Elementwise::add_bias);
                return;
            case Op::add:
                lower_elementwise(id, Elementwise::add);
                return;
            case Op::multiply:
                lower_elementwise(id,
                                  graph_.node(node.inputs[1]).n_cols == node.n_cols ? Elementwise::multiply : Elementwise::multiply_rows);
                return;
            case Op::scale:
                lower_elementwise(id, Elementwise::scale);
                return;
            case Op::activate:
                lower_elementwise(id, Elementwise::activate);
                return;
        }
    }

    void lower_elementwise(int32_t id, Elementwise kind) {
        const Node& node = graph_.node(id);
        const ValueId b = node.inputs[1] >= 0 ? value(node.inputs[1]) : -1;
        plan_.steps.push_back(ElementwiseStep{kind, value(node.inputs[0]), b, new_value(id), node.weight, node.activation, node.scalar});
    }

    static PlannedNorm planned(const Node& node) { return {node.norm, node.weight, node.bias, node.scalar}; }

    void lower_norm(int32_t id) {
        NormStep step{planned(graph_.node(id)), value(graph_.node(id).inputs[0]), new_value(id)};
        const int32_t next = only_consumer(id);
        if (fuse_ && next >= 0 && graph_.node(next).op == Op::add) join_residual(next, id, id, step.add_to);
        plan_.steps.push_back(std::move(step));
    }

    void lower_rope(int32_t id) {
        const Node& node = graph_.node(id);
        const ValueId from = value(node.inputs[0]), to = new_value(id);
        plan_.steps.push_back(ElementwiseStep{Elementwise::copy, from, -1, to, {}, {}});
        plan_.steps.push_back(RopeStep{to, node.n_heads, node.head_dim, node.rope});
    }

    void lower_join(int32_t id) {
        const Node& node = graph_.node(id);
        const ValueId out = new_value(id);
        int64_t to = 0;
        for (const int32_t input : {node.inputs[0], node.inputs[1]}) {
            const int64_t n = graph_.node(input).n_cols / node.n_heads;
            plan_.steps.push_back(CopyHeadsStep{value(input), out, node.n_heads, n, 0, to});
            to += n;
        }
    }

    void lower_attend(int32_t id) {
        const Node& node = graph_.node(id);
        for (const CacheSide side : {CacheSide::keys, CacheSide::values}) {
            const int32_t input = node.inputs[side == CacheSide::keys ? 1 : 2];
            if (side == CacheSide::values && input == node.inputs[1]) continue;
            if (!stored_[at(input)]) plan_.steps.push_back(StoreStep{value(input), side, node.layer, node.n_kv_heads, node.head_dim});
        }
        plan_.steps.push_back(AttendStep{value(node.inputs[0]), new_value(id), node.layer, node.n_heads, node.n_kv_heads, node.head_dim,
                                         node.attention, node.inputs[1] == node.inputs[2]});
    }

    void lower_experts(int32_t id) {
        const Node& node = graph_.node(id);
        ExpertsStep step{graph_.experts()[at(node.experts)], value(node.inputs[0]), value(node.inputs[1]), new_value(id)};
        const int32_t next = only_consumer(id);
        if (fuse_ && next >= 0 && graph_.node(next).op == Op::add) join_residual(next, id, id, step.add_to);
        plan_.steps.push_back(std::move(step));
    }

    // A norm over whole rows that only matmuls read becomes their prologue.
    bool norm_joins_matmuls(int32_t id) const {
        const Node& node = graph_.node(id);
        const auto& readers = consumers_[at(id)];
        return fuse_ && id != graph_.result() && node.weight.shape.n_cols() == node.n_cols && !readers.empty() &&
               readers.size() <= most_linear_outputs &&
               std::all_of(readers.begin(), readers.end(), [&](int32_t reader) { return graph_.node(reader).op == Op::matmul; });
    }

    void lower_matmuls(int32_t first) {
        const int32_t input = graph_.node(first).inputs[0];
        LinearStep step;
        std::vector<int32_t> group;
        for (const int32_t reader : consumers_[at(input)])
            if (graph_.node(reader).op == Op::matmul && !absorbed_[at(reader)] && group.size() < (fuse_ ? most_linear_outputs : 1) &&
                reader >= first)
                group.push_back(reader);
        if (graph_.node(input).op == Op::norm && norm_joins_matmuls(input)) {
            step.norm = planned(graph_.node(input));
            step.x = value(graph_.node(input).inputs[0]);
        } else {
            step.x = value(input);
        }
        for (const int32_t id : group) absorbed_[at(id)] = true;
        if (fuse_ && lower_gated(group, step)) return;
        for (const int32_t id : group) step.outputs.push_back(follow(id, first, step));
        plan_.steps.push_back(std::move(step));
    }

    static std::optional<Gating> gating_of(ActivationKind kind) {
        if (kind == ActivationKind::silu) return Gating::silu;
        if (kind == ActivationKind::gelu_tanh) return Gating::gelu_tanh;
        if (kind == ActivationKind::gelu) return Gating::gelu;
        return std::nullopt;
    }

    // activation(gate) * up, both matmuls of the same input and read by nothing else.
    bool lower_gated(const std::vector<int32_t>& group, LinearStep& step) {
        if (group.size() != 2) return false;
        for (const bool swapped : {false, true}) {
            const int32_t gate = group[swapped], up = group[!swapped];
            const int32_t activate = only_consumer(gate), product = only_consumer(up);
            if (activate < 0 || product < 0 || graph_.node(activate).op != Op::activate || graph_.node(product).op != Op::multiply)
                continue;
            const auto gating = gating_of(graph_.node(activate).activation.kind);
            if (!gating || only_consumer(activate) != product) continue;
            absorbed_[at(activate)] = absorbed_[at(product)] = true;
            step.gating = gating;
            step.outputs.push_back({.weight = graph_.node(gate).weight, .adapters = graph_.node(gate).adapters, .out = new_value(gate)});
            step.outputs.push_back({.weight = graph_.node(up).weight, .adapters = graph_.node(up).adapters, .out = new_value(up)});
            value_of_[at(product)] = value_of_[at(gate)];
            plan_.steps.push_back(std::move(step));
            return true;
        }
        return false;
    }

    // Absorbs what follows a matmul for as long as it alone reads the value: bias, head norm, activation, rope, cache write, residual add.
    LinearStepOutput follow(int32_t id, int32_t first, LinearStep& step) {
        LinearStepOutput output{.weight = graph_.node(id).weight, .adapters = graph_.node(id).adapters, .out = new_value(id)};
        int32_t last = id;
        for (int32_t next = only_consumer(id); fuse_ && next >= 0; next = only_consumer(next)) {
            const Node& node = graph_.node(next);
            const bool plain = output.rope < 0 && !output.head_norm.weight.data && output.activation.kind == ActivationKind::none;
            if (node.op == Op::add_bias && !output.bias.data && plain) {
                output.bias = node.weight;
            } else if (node.op == Op::activate && plain) {
                output.activation = node.activation;
            } else if (node.op == Op::norm && plain && joins_head_norm(step, next)) {
                output.head_norm = planned(node);
                step.head_dim = static_cast<int>(node.weight.shape.n_cols());
            } else if (node.op == Op::rope && output.rope < 0 && output.activation.kind == ActivationKind::none && joins_rope(step, node)) {
                output.rope = node.rope;
                step.head_dim = node.head_dim;
            } else if (node.op == Op::add && join_residual(next, last, first, output.add_to)) {
                return output;
            } else {
                join_cache(next, last, output, step);
                break;
            }
            absorbed_[at(next)] = true;
            last = next;
        }
        value_of_[at(last)] = output.out;
        return output;
    }

    // A norm of heads: what is turned or attended to next. (Over a whole row it would leave the phase to one thread.)
    bool joins_head_norm(const LinearStep& step, int32_t id) const {
        const Node& node = graph_.node(id);
        const int32_t next = only_consumer(id);
        if (next < 0 || (graph_.node(next).op != Op::rope && graph_.node(next).op != Op::attend)) return false;
        const auto head_dim = static_cast<int>(node.weight.shape.n_cols());
        return head_dim == graph_.node(next).head_dim && (!step.head_dim || step.head_dim == head_dim);
    }

    static bool joins_rope(const LinearStep& step, const Node& node) {
        if (step.head_dim && step.head_dim != node.head_dim) return false;
        return std::all_of(step.outputs.begin(), step.outputs.end(),
                           [&](const auto& other) { return other.rope < 0 || other.rope == node.rope; });
    }

    // `next` adds the chain's end `last` to a value that is older than the phase and that all others have read before it: it is updated in
    // place. The phase stands where its first node does, so that a reader that comes between that and `next` would come too late.
    bool join_residual(int32_t next, int32_t last, int32_t first, ValueId& add_to) {
        const Node& node = graph_.node(next);
        const int32_t other = node.inputs[0] == last ? node.inputs[1] : node.inputs[0];
        if (other == last || other >= first || value_of_[at(other)] < 0 || other == graph_.result()) return false;
        const auto& readers = consumers_[at(other)];
        for (const int32_t reader : readers) {
            if (reader == next) continue;
            const bool joined = graph_.node(reader).op == Op::norm && norm_joins_matmuls(reader);  // then it reads when they run
            if (reader >= first || (joined && consumers_[at(reader)].front() >= first)) return false;
        }
        absorbed_[at(next)] = true;
        add_to = value_of_[at(next)] = value(other);
        return true;
    }

    void join_cache(int32_t next, int32_t last, LinearStepOutput& output, LinearStep& step) {
        const Node& node = graph_.node(next);
        if (node.op != Op::attend || node.inputs[0] == last || (step.head_dim && step.head_dim != node.head_dim)) return;
        output.store = node.inputs[1] == last ? CacheSide::keys : CacheSide::values;
        output.layer = node.layer;
        step.head_dim = node.head_dim;
        stored_[at(last)] = true;
    }

    void touch(ValueId id, int step) {
        if (id < 0) return;
        Value& value = plan_.values[at(id)];
        if (value.first_step < 0) value.first_step = step;
        value.last_step = step;
    }

    void set_lifetimes() {
        for (int index = 0; index < static_cast<int>(plan_.steps.size()); ++index)
            std::visit(
                [&](const auto& step) {
                    if constexpr (requires { step.x; }) touch(step.x, index);
                    if constexpr (requires { step.logits; }) touch(step.logits, index);
                    if constexpr (requires { step.add_to; }) touch(step.add_to, index);
                    if constexpr (requires { step.q; }) touch(step.q, index);
                    if constexpr (requires { step.a; }) touch(step.a, index), touch(step.b, index);
                    if constexpr (requires { step.out; }) touch(step.out, index);
                    if constexpr (requires { step.outputs; })
                        for (const auto& output : step.outputs) touch(output.out, index), touch(output.add_to, index);
                },
                plan_.steps[at(index)]);
        plan_.values[at(plan_.result)].last_step = static_cast<int>(plan_.steps.size());
    }

    const Graph& graph_;
    const bool fuse_;
    std::vector<std::vector<int32_t>> consumers_;  // by node
    std::vector<bool> absorbed_;                   // part of an earlier step
    std::vector<ValueId> value_of_;                // by node
    std::vector<bool> stored_;                     // a linear phase wrote it into the cache
    Plan plan_;
};

}  // namespace

Plan lower(const Graph& graph, Fusion fusion) {
    QUERN_CHECK(graph.result() >= 0);
    return Lowering(graph, fusion).finish();
}

}  // namespace quern
