#include "graph/executor.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "graph/memory_plan.h"

namespace quern {
namespace {

int64_t total_rank(const AdapterList& adapters) {
    int64_t total = 0;
    for (const AdapterFactors& each : adapters) total += each.rank;
    return total;
}

std::array<const AdapterList*, 3> expert_adapters(const Experts& experts) {
    return {&experts.gate_adapters, &experts.up_adapters, &experts.down_adapters};
}

int count_adapters(const Plan& plan) {
    int n = 0;
    const auto see = [&](const AdapterList& list) {
        for (const AdapterFactors& each : list) n = std::max(n, each.adapter + 1);
    };
    for (const Step& step : plan.steps) {
        if (const auto* embed = std::get_if<EmbedStep>(&step)) see(embed->adapters);
        if (const auto* linear = std::get_if<LinearStep>(&step))
            for (const LinearStepOutput& output : linear->outputs) see(output.adapters);
        if (const auto* experts = std::get_if<ExpertsStep>(&step))
            for (const AdapterList* list : expert_adapters(experts->experts)) see(*list);
    }
    return n;
}

ScratchNeeds scratch_needs(const Plan& plan, BatchLimits limits) {
    ScratchNeeds needs{.n_tokens = std::max(limits.n_tokens, limits.n_outputs)};
    for (const Step& step : plan.steps) {
        if (const auto* linear = std::get_if<LinearStep>(&step)) {
            needs.max_n_in = std::max(needs.max_n_in, linear->outputs.front().weight.shape.n_cols());
            int64_t rank = 0;
            for (const LinearStepOutput& output : linear->outputs) rank += total_rank(output.adapters);
            needs.low_rank = std::max(needs.low_rank, rank);
        } else if (const auto* heads = std::get_if<HeadMatmulStep>(&step)) {
            needs.max_n_in = std::max(needs.max_n_in, heads->weight.shape.n_cols());
        } else if (const auto* attend = std::get_if<AttendStep>(&step)) {
            needs.n_heads = std::max(needs.n_heads, attend->n_heads);
            needs.head_dim = std::max(needs.head_dim, attend->head_dim);
        } else if (const auto* experts = std::get_if<ExpertsStep>(&step)) {
            const Shape& gate = experts->experts.weights.gate.shape;
            needs.n_expert_rows = std::max(needs.n_expert_rows, needs.n_tokens * experts->experts.routing.n_used);
            needs.expert_n_ff = std::max(needs.expert_n_ff, gate[1]);
            needs.expert_n_embd = std::max(needs.expert_n_embd, gate[2]);
            for (const AdapterList* list : expert_adapters(experts->experts))
                needs.expert_low_rank = std::max(needs.expert_low_rank, total_rank(*list));
        }
    }
    return needs;
}

Plan make_plan(const Graph& graph, BatchLimits limits, Fusion fusion) {
    Plan plan = lower(graph, fusion);
    plan_memory(plan, limits.n_tokens, limits.n_outputs);
    return plan;
}

}  // namespace

Executor::Executor(const Graph& graph, Device& device, BatchLimits limits, Fusion fusion, TokenKernels kernels)
    : device_(device),
      limits_(limits),
      kernels_(kernels),
      plan_(make_plan(graph, limits, fusion)),
      ropes_(graph.ropes().begin(), graph.ropes().end()),
      workspace_(device.allocate(plan_.workspace_bytes, "activations")) {
    n_adapters_ = count_adapters(plan_);
    device_.reserve(scratch_needs(plan_, limits));
    for (const Rope& rope : ropes_) angles_.emplace_back(static_cast<size_t>(limits.n_tokens) * rope.frequencies.inverse.size() * 2);
    slots_.resize(static_cast<size_t>(limits.n_tokens));
    window_slots_.resize(static_cast<size_t>(limits.n_tokens));
    positions_.resize(static_cast<size_t>(limits.n_tokens));
    types_.resize(static_cast<size_t>(limits.n_tokens));
    for (const Step& step : plan_.steps) {
        const auto* embed = std::get_if<EmbedStep>(&step);
        if (!embed || embed->by == EmbedBy::token) continue;
        int32_t& last = embed->by == EmbedBy::position ? last_position_ : last_type_;
        last = static_cast<int32_t>(std::min<int64_t>(last, embed->table.shape[0] - 1));
    }
}

uint64_t Executor::memory_bytes(const Graph& graph, const Device& device, BatchLimits limits) {
    const Plan plan = make_plan(graph, limits, Fusion::on);
    return plan.workspace_bytes + device.scratch_bytes(scratch_needs(plan, limits));
}

uint64_t Executor::workspace_bytes(const Graph& graph, BatchLimits limits) { return make_plan(graph, limits, Fusion::on).workspace_bytes; }

void Executor::observe(LinearObserver observer) {
    observer_ = std::move(observer);
    const ScratchNeeds needs = scratch_needs(plan_, limits_);
    const auto bytes = static_cast<uint64_t>(needs.n_tokens * needs.max_n_in) * sizeof(float);
    observed_ = observer_ ? device_.allocate(bytes, "the inputs of matrices") : Buffer();
}

/// One batch on its way through the steps.
class Executor::Run {
  public:
    Run(Executor& owner, const Batch& batch, const KvCache& cache) : owner_(owner), device_(owner.device_), batch_(batch), cache_(cache) {}

    void operator()(const EmbedStep& step) {
        const size_t n = batch_.tokens.size();
        const std::span<const int32_t> positions(owner_.positions_.data(), n), types(owner_.types_.data(), n);
        const std::vector<LowRank> adapters = active(step.adapters, false);
        device_.embed({.table = step.table,
                       .tokens = step.by == EmbedBy::token      ? batch_.tokens
                                 : step.by == EmbedBy::position ? positions
                                                                : types,
                       .out = rows(step.out),
                       .adapters = adapters});
    }

    void operator()(const NormStep& step) {
        const int64_t n = step.norm.weight.shape.n_cols();
        device_.norm({.norm = step.norm.pointers(),
                      .n = n,
                      .n_groups = value(step.x).n_cols / n,
                      .n_rows = n_rows(step.x),
                      .x = rows(step.x),
                      .out = rows(step.out),
                      .add_to = step.add_to >= 0 ? rows(step.add_to).data : nullptr});
    }

    void operator()(const LinearStep& step) {
        if (owner_.observer_) show_input(step);
        LinearOutput outputs[most_linear_outputs];
        KvTarget targets[most_linear_outputs];
        std::vector<LowRank> adapters[most_linear_outputs];
        LinearOperation operation{.kernels = kernels_for(step.x),
                                  .n_tokens = n_rows(step.x),
                                  .x = rows(step.x),
                                  .norm = step.norm.pointers(),
                                  .outputs = {outputs, step.outputs.size()},
                                  .gating = step.gating,
                                  .head_dim = step.head_dim};
        for (size_t i = 0; i < step.outputs.size(); ++i) {
            const LinearStepOutput& from = step.outputs[i];
            outputs[i] = {.weight = from.weight,
                          .bias = from.bias.f32(),
                          .out = rows(from.out),
                          .head_norm = from.head_norm.pointers(),
                          .activation = from.activation,
                          .rope = from.rope >= 0};
            adapters[i] = active(from.adapters, value(step.x).output_rows);
            outputs[i].adapters = adapters[i];
            if (from.add_to >= 0) outputs[i].add_to = rows(from.add_to).data;
            if (from.rope >= 0) set_rope(from.rope, operation.angles, operation.rope_dims, operation.rope_style);
            if (from.store == CacheSide::none) continue;
            targets[i] = target(from.store, from.layer);
            outputs[i].store = &targets[i];
        }
        device_.linear(operation);
    }

    void operator()(const CopyHeadsStep& step) {
        const Rows from = rows(step.x), to = rows(step.out);
        device_.copy_heads({.x = {from.data + step.from, from.stride},
                            .out = {to.data + step.to, to.stride},
                            .n_rows = n_rows(step.x),
                            .n_heads = step.n_heads,
                            .n = step.n});
    }

    void operator()(const HeadMatmulStep& step) {
        const Shape& shape = step.weight.shape;
        const uint64_t bytes = step.weight.bytes() / static_cast<uint64_t>(shape[0]);
        const Rows from = rows(step.x), to = rows(step.out);
        for (int64_t head = 0; head < shape[0]; ++head) {
            const LinearOutput output{
                .weight = {step.weight.dtype, {shape[1], shape[2]}, step.weight.data + static_cast<uint64_t>(head) * bytes},
                .out = {to.data + head * shape[1], to.stride}};
            device_.linear({.kernels = kernels_for(step.x),
                            .n_tokens = n_rows(step.x),
                            .x = {from.data + head * shape[2], from.stride},
                            .outputs = {&output, 1}});
        }
    }

    void operator()(const RopeStep& step) {
        RopeOperation operation{.x = rows(step.x), .n_tokens = n_rows(step.x), .n_heads = step.n_heads, .head_dim = step.head_dim};
        set_rope(step.rope, operation.angles, operation.rope_dims, operation.style);
        device_.rope(operation);
    }

    void operator()(const StoreStep& step) {
        device_.store({.x = rows(step.x),
                       .n_tokens = n_rows(step.x),
                       .n_kv_heads = step.n_kv_heads,
                       .head_dim = step.head_dim,
                       .target = target(step.side, step.layer)});
    }

    void operator()(const AttendStep& step) {
        device_.attend({.kernels = owner_.kernels_,
                        .q = rows(step.q),
                        .out = rows(step.out),
                        .keys = cache_.keys(step.layer),
                        .values = step.values_are_keys ? cache_.keys(step.layer) : cache_.values(step.layer),
                        .sequences = cache_.is_windowed(step.layer) ? owner_.window_spans_ : batch_.sequences,
                        .n_tokens = n_rows(step.q),
                        .n_heads = step.n_heads,
                        .n_kv_heads = step.n_kv_heads,
                        .head_dim = step.head_dim,
                        .scale = step.attention.scale,
                        .window = step.attention.window,
                        .softcap = step.attention.softcap,
                        .sinks = step.attention.sinks.f32(),
                        .causal = step.attention.causal});
    }

    void operator()(const ExpertsStep& step) {
        const std::vector<LowRank> gate = active(step.experts.gate_adapters, false), up = active(step.experts.up_adapters, false),
                                   down = active(step.experts.down_adapters, false);
        device_.experts({.kernels = owner_.kernels_,
                         .weights = step.experts.weights,
                         .routing = step.experts.routing,
                         .n_tokens = n_rows(step.x),
                         .x = rows(step.x),
                         .logits = rows(step.logits),
                         .out = rows(step.out),
                         .add_to = step.add_to >= 0 ? rows(step.add_to).data : nullptr,
                         .adapters = {gate, up, down}});
    }

    void operator()(const ElementwiseStep& step) {
        ElementwiseOperation operation{.kind = step.kind,
                                       .n_rows = n_rows(step.a),
                                       .n_cols = value(step.a).n_cols,
                                       .a = rows(step.a),
                                       .out = rows(step.out),
                                       .activation = step.activation,
                                       .factor = step.factor};
        if (step.kind == Elementwise::add_bias)
            operation.b = {const_cast<float*>(step.bias.f32()), 0};  // Rows is writable for out's sake; b is only read
        else if (step.b >= 0)
            operation.b = rows(step.b);
        device_.elementwise(operation);
    }

    void operator()(const SelectStep& step) {
        device_.select_rows({.x = rows(step.x), .out = rows(step.out), .rows = batch_.outputs, .n_cols = value(step.x).n_cols});
    }

    Rows rows(ValueId id) const { return {reinterpret_cast<float*>(owner_.workspace_.data() + value(id).offset), value(id).n_cols}; }
    int64_t n_rows(ValueId id) const { return static_cast<int64_t>(value(id).output_rows ? batch_.outputs.size() : batch_.tokens.size()); }
    TokenKernels kernels_for(ValueId x) const { return value(x).output_rows ? batch_.output_kernels : owner_.kernels_; }

  private:
    void show_input(const LinearStep& step) {
        const int64_t n_cols = step.outputs.front().weight.shape.n_cols();
        LinearInput input{.matrices = step.outputs, .rows = rows(step.x), .n_rows = n_rows(step.x), .n_cols = n_cols};
        if (step.norm.weight.data) {
            input.rows = {reinterpret_cast<float*>(owner_.observed_.data()), n_cols};
            device_.norm(
                {.norm = step.norm.pointers(), .n = n_cols, .n_groups = 1, .n_rows = input.n_rows, .x = rows(step.x), .out = input.rows});
        }
        owner_.observer_(input);
    }

    /// Those that some token of the batch has.
    std::vector<LowRank> active(const AdapterList& list, bool output_rows) const {
        std::vector<LowRank> found;
        for (const AdapterFactors& each : list) {
            const auto index = static_cast<size_t>(each.adapter);
            if (!owner_.in_use_[index]) continue;
            const float* const scales = output_rows ? owner_.output_scales_.data() + index * batch_.outputs.size()
                                                    : owner_.scales_.data() + index * batch_.tokens.size();
            found.push_back(
                {.a = each.a, .b = each.b, .rank = each.rank, .b_stride = each.b_stride, .factor = each.factor, .scales = scales});
        }
        return found;
    }

    const Value& value(ValueId id) const { return owner_.plan_.values[static_cast<size_t>(id)]; }
    KvTarget target(CacheSide side, int layer) const {
        const std::vector<int64_t>& slots = cache_.is_windowed(layer) ? owner_.window_slots_ : owner_.slots_;
        return {side == CacheSide::keys ? cache_.keys(layer) : cache_.values(layer), {slots.data(), batch_.tokens.size()}};
    }
    void set_rope(int index, const float*& angles, int& n_dims, RopeStyle& style) const {
        const auto at = static_cast<size_t>(index);
        angles = owner_.angles_[at].data();
        n_dims = static_cast<int>(owner_.ropes_[at].frequencies.inverse.size() * 2);
        style = owner_.ropes_[at].style;
    }

    Executor& owner_;
    Device& device_;
    const Batch& batch_;
    const KvCache& cache_;
};

namespace {

/// Nothing downstream of the selected rows is worth running when no row was selected.
bool writes_output_rows(const Plan& plan, const Step& step) {
    const auto is_output = [&](ValueId id) { return plan.values[static_cast<size_t>(id)].output_rows; };
    return std::visit(
        [&](const auto& each) {
            if constexpr (requires { each.outputs; })
                return is_output(each.outputs.front().out);
            else if constexpr (requires { each.out; })
                return is_output(each.out);
            else
                return is_output(each.x);
        },
        step);
}

}  // namespace

void Executor::begin(const Batch& batch, const KvCache& cache) {
    QUERN_CHECK(static_cast<int64_t>(batch.tokens.size()) <= limits_.n_tokens);
    QUERN_CHECK(static_cast<int64_t>(batch.outputs.size()) <= limits_.n_outputs);
    batch_ = batch;
    cache_ = &cache;
    next_step_ = 0;
    QUERN_CHECK(batch.types.empty() || batch.types.size() == batch.tokens.size());
    for (size_t i = 0; i < batch.tokens.size(); ++i) types_[i] = batch.types.empty() ? 0 : std::min(batch.types[i], last_type_);
    if (n_adapters_ > 0) spread_scales();
    window_spans_.clear();
    for (const SequenceSpan& sequence : batch.sequences) {
        for (int64_t i = 0; i < sequence.n_tokens; ++i) {
            const int64_t position = sequence.first_position + i, row = sequence.first_token + i;
            positions_[static_cast<size_t>(row)] = static_cast<int32_t>(std::min<int64_t>(position, last_position_));
            const auto slot = [&](const int32_t* table) {
                return table[position / kv_page_tokens] * kv_page_tokens + position % kv_page_tokens;
            };
            slots_[static_cast<size_t>(row)] = slot(sequence.page_table);
            if (cache.has_windows()) window_slots_[static_cast<size_t>(row)] = slot(sequence.window_page_table);
            for (size_t r = 0; r < ropes_.size(); ++r) {
                const RopeFrequencies& frequencies = ropes_[r].frequencies;
                rope_angles(frequencies, position, angles_[r].data() + static_cast<size_t>(row) * frequencies.inverse.size() * 2);
            }
        }
        if (!cache.has_windows()) continue;
        window_spans_.push_back(sequence);
        window_spans_.back().page_table = sequence.window_page_table;
    }
}

// From sequences to tokens and output rows.
void Executor::spread_scales() {
    const auto n_adapters = static_cast<size_t>(n_adapters_), n_tokens = batch_.tokens.size(), n_outputs = batch_.outputs.size();
    const size_t n_scales = batch_.sequences.empty() ? 0 : batch_.adapter_scales.size() / batch_.sequences.size();
    QUERN_CHECK(batch_.adapter_scales.empty() ||
                (n_scales >= n_adapters && n_scales * batch_.sequences.size() == batch_.adapter_scales.size()));
    in_use_.assign(n_adapters, false);
    scales_.assign(n_adapters * n_tokens, 0.0f);
    output_scales_.assign(n_adapters * n_outputs, 0.0f);
    if (batch_.adapter_scales.empty()) return;
    for (size_t adapter = 0; adapter < n_adapters; ++adapter) {
        const auto begin = scales_.begin() + static_cast<std::ptrdiff_t>(adapter * n_tokens);
        for (size_t s = 0; s < batch_.sequences.size(); ++s) {
            const float scale = batch_.adapter_scales[s * n_scales + adapter];
            std::fill_n(begin + batch_.sequences[s].first_token, batch_.sequences[s].n_tokens, scale);
            if (scale != 0.0f) in_use_[adapter] = true;
        }
        for (size_t i = 0; i < n_outputs; ++i) output_scales_[adapter * n_outputs + i] = begin[batch_.outputs[i]];
    }
}

bool Executor::advance() {
    Run run(*this, batch_, *cache_);
    const auto wanted = [&] { return !batch_.outputs.empty() || !writes_output_rows(plan_, plan_.steps[next_step_]); };
    while (next_step_ < plan_.steps.size() && !wanted()) ++next_step_;
    if (next_step_ < plan_.steps.size()) std::visit(run, plan_.steps[next_step_++]);
    while (next_step_ < plan_.steps.size() && !wanted()) ++next_step_;
    return next_step_ < plan_.steps.size();
}

std::span<const float> Executor::logits() {
    const Rows logits = Run(*this, batch_, *cache_).rows(plan_.result);
    return {logits.data, batch_.outputs.size() * static_cast<size_t>(logits.stride)};
}

std::span<const float> Executor::run(const Batch& batch, const KvCache& cache) {
    begin(batch, cache);
    while (advance()) {
    }
    return logits();
}

}  // namespace quern
