// A layer of experts on the CPU. Tokens are sorted by expert, so that each expert's matrices meet all of its tokens in one product; the
// experts share one parallel region for each matrix.
#include <algorithm>

#include "backend/cpu/cpu_device.h"
#include "backend/cpu/work_units.h"

namespace quern {
// Fills chosen, shares, row_of, source_of and first_row.
void CpuDevice::sort_by_expert(const ExpertsOperation& operation) noexcept {
    const Routing& routing = operation.routing;
    ExpertRows& rows = experts_;
    rows.kernels = operation.kernels;
    rows.n_used = routing.n_used;
    rows.n_rows = operation.n_tokens * rows.n_used;
    rows.n_experts = routing.n_experts;
    pool_.for_each(operation.n_tokens, [&](int64_t t, int) noexcept {
        choose_experts(routing, operation.logits.data + t * operation.logits.stride, rows.chosen + t * rows.n_used,
                       rows.shares + t * rows.n_used);
    });
    std::fill_n(rows.first_row, rows.n_experts + 1, 0);
    for (int64_t i = 0; i < rows.n_rows; ++i) ++rows.first_row[rows.chosen[i] + 1];
    for (int64_t e = 0; e < rows.n_experts; ++e) rows.first_row[e + 1] += rows.first_row[e];
    for (int64_t i = 0; i < rows.n_rows; ++i) {  // first_row[e] runs to the end of e, which is where e + 1 began
        const int32_t row = rows.first_row[rows.chosen[i]]++;
        rows.row_of[i] = row;
        rows.source_of[row] = static_cast<int32_t>(i);
    }
    for (int64_t e = rows.n_experts; e > 0; --e) rows.first_row[e] = rows.first_row[e - 1];
    rows.first_row[0] = 0;
}

// Brings each row into the form that its expert's kernel reads. @param by_token  `from` has one row for each token
void CpuDevice::fill_expert_rows(const TensorView& weight, Rows from, bool by_token) noexcept {
    const int64_t n_in = weight.shape.n_cols();
    const ActivationFormat format = kernels_.matmul(weight.dtype, experts_.kernels).activations;
    pool_.for_each(experts_.n_rows, [&](int64_t row, int) noexcept {
        const int32_t source = experts_.source_of[row], expert = experts_.chosen[source];
        const int64_t first = experts_.first_row[expert];
        std::byte* const to = experts_.activations + first * experts_.widest + (row - first) * activation_row_bytes(format, n_in);
        kernels_.quantize(format)(from.data + (by_token ? source / experts_.n_used : row) * from.stride, to, n_in);
    });
}

// out[row] = weight[expert] * activations[row] + what adapters add + bias[expert].
void CpuDevice::multiply_experts(const ExpertProduct& product) noexcept {
    const TensorView& weight = product.weight;
    const int64_t n_in = weight.shape[2], n_out = weight.shape[1];
    const auto bytes = static_cast<int64_t>(row_bytes(weight.dtype, static_cast<uint64_t>(n_in)));
    const MatmulChoice choice = kernels_.matmul(weight.dtype, experts_.kernels);
    const int64_t rows_each = rows_per_unit(n_out, bytes, choice, 1, pool_.n_threads());
    const int64_t n_blocks = (n_out + rows_each - 1) / rows_each;
    pool_.for_each(n_blocks * experts_.n_experts, [&](int64_t item, int) noexcept {
        const int64_t expert = item / n_blocks, row = item % n_blocks * rows_each, n_rows = std::min(rows_each, n_out - row);
        const int64_t first = experts_.first_row[expert], n = experts_.first_row[expert + 1] - first;
        if (n == 0) return;
        choice.kernel({.weights = weight.data + (expert * n_out + row) * bytes,
                       .weight_row_bytes = bytes,
                       .n_rows = n_rows,
                       .activations = experts_.activations + first * experts_.widest,
                       .activation_row_bytes = activation_row_bytes(choice.activations, n_in),
                       .n_tokens = n,
                       .n_in = n_in,
                       .out = product.out + first * n_out + row,
                       .out_stride = n_out});
        if (!product.adapters.empty()) add_expert_low_rank(product, expert, row, n_rows);
        for (int64_t r = first; r < first + n; ++r) {
            float* const result = product.out + r * n_out + row;
            if (product.bias.data) kernels_.add(product.bias.f32() + expert * n_out + row, result, n_rows);
            float* const gate = experts_.gate + r * n_out + row;
            if (product.gating) kernels_.gate(*product.gating, gate, result, gate, n_rows);
        }
    });
}

void CpuDevice::experts(const ExpertsOperation& operation) noexcept {
    const ExpertWeights& w = operation.weights;
    const int64_t n_embd = w.gate.shape[2], n_ff = w.gate.shape[1];
    sort_by_expert(operation);
    fill_expert_rows(w.gate, operation.x, true);
    project_experts_low_rank(operation.adapters.gate, n_embd, operation.x, true);
    multiply_experts({w.gate, w.gate_bias, operation.adapters.gate, experts_.gate, std::nullopt});
    if (w.up.dtype != w.gate.dtype) fill_expert_rows(w.up, operation.x, true);
    project_experts_low_rank(operation.adapters.up, n_embd, operation.x, true);
    multiply_experts({w.up, w.up_bias, operation.adapters.up, experts_.up, w.gating});
    fill_expert_rows(w.down, {experts_.gate, n_ff}, false);
    project_experts_low_rank(operation.adapters.down, n_ff, {experts_.gate, n_ff}, false);
    multiply_experts({w.down, w.down_bias, operation.adapters.down, experts_.down, std::nullopt});
    pool_.for_each(operation.n_tokens, [&](int64_t t, int) noexcept {
        float* const out = operation.out.data + t * operation.out.stride;
        std::fill_n(out, n_embd, 0.0f);
        for (int64_t i = t * experts_.n_used; i < (t + 1) * experts_.n_used; ++i)
            kernels_.add_scaled(experts_.shares[i], experts_.down + experts_.row_of[i] * n_embd, out, n_embd);
        if (operation.add_to) kernels_.add(out, operation.add_to + t * operation.out.stride, n_embd);
    });
}

}  // namespace quern
