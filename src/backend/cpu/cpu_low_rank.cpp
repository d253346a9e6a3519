// What adapters add to the products of matrices: first the short vectors a x of all tokens, then b times these, block by block while the
// results of the matrix itself are in cache. Each token is computed alone, so that its bits do not depend on its company.
#include <algorithm>

#include "backend/cpu/cpu_device.h"

namespace quern {
namespace {

// Rows of `a` in one unit of work with few tokens, where reading `a` is the work; tokens in one with many.
constexpr int64_t rows_per_block = 8, tokens_per_block = 32;

int64_t total_rank(std::span<const LowRank> adapters) {
    int64_t total = 0;
    for (const LowRank& adapter : adapters) total += adapter.rank;
    return total;
}

int64_t total_rank(std::span<const LinearOutput> outputs) {
    int64_t total = 0;
    for (const LinearOutput& output : outputs) total += total_rank(output.adapters);
    return total;
}

int64_t count_blocks(int64_t n, int64_t each) { return (n + each - 1) / each; }

}  // namespace

// The task, for each run of its tokens that the adapter touches, and scaled. @param first_token  of the task, in the batch
void CpuDevice::project_block(const LowRank& adapter, MatmulKernel kernel, const MatmulTask& task, int64_t first_token) noexcept {
    const float* const scales = adapter.scales + first_token;
    for (int64_t t = 0; t < task.n_tokens;) {
        int64_t end = t;
        while (end < task.n_tokens && scales[end] != 0.0f) ++end;
        if (end > t) {
            MatmulTask run = task;
            run.activations += t * task.activation_row_bytes;
            run.out += t * task.out_stride;
            run.n_tokens = end - t;
            kernel(run);
        }
        for (; t < end; ++t)
            for (int64_t r = 0; r < task.n_rows; ++r) task.out[t * task.out_stride + r] *= adapter.factor * scales[t];
        if (t < task.n_tokens) ++t;
    }
}

void CpuDevice::project_low_rank(const LinearOperation& operation) noexcept {
    const int64_t total = total_rank(operation.outputs), n_in = operation.outputs.front().weight.shape.n_cols();
    if (total == 0) return;
    const MatmulChoice choice = kernels_.matmul(DType::f32, operation.kernels);
    const bool few = choice.waits_for_memory;
    const int64_t rows_each = few ? rows_per_block : total, tokens_each = few ? operation.n_tokens : tokens_per_block;
    const int64_t n_token_blocks = count_blocks(operation.n_tokens, tokens_each), row_bytes = n_in * static_cast<int64_t>(sizeof(float));
    const int64_t activation_bytes = activation_row_bytes(choice.activations, n_in);
    int64_t n_items = 0;
    for (const LinearOutput& output : operation.outputs)
        for (const LowRank& adapter : output.adapters) n_items += count_blocks(adapter.rank, rows_each) * n_token_blocks;
    pool_.for_each(n_items, [&](int64_t item, int) noexcept {
        int64_t first_column = 0;
        for (const LinearOutput& output : operation.outputs)
            for (const LowRank& adapter : output.adapters) {
                const int64_t n = count_blocks(adapter.rank, rows_each) * n_token_blocks;
                if (item >= 0 && item < n) {
                    const int64_t row = item / n_token_blocks * rows_each, token = item % n_token_blocks * tokens_each;
                    const std::byte* const x = activations_[static_cast<int>(choice.activations)];
                    project_block(adapter, choice.kernel,
                                  {.weights = reinterpret_cast<const std::byte*>(adapter.a) + row * row_bytes,
                                   .weight_row_bytes = row_bytes,
                                   .n_rows = std::min(rows_each, adapter.rank - row),
                                   .activations = x + token * activation_bytes,
                                   .activation_row_bytes = activation_bytes,
                                   .n_tokens = std::min(tokens_each, operation.n_tokens - token),
                                   .n_in = n_in,
                                   .out = low_rank_ + token * total + first_column + row,
                                   .out_stride = total},
                                  token);
                }
                item -= n;
                first_column += adapter.rank;
            }
    });
}

// Rows [row, row + n_rows) of one output, all tokens.
void CpuDevice::add_low_rank(const LinearOperation& operation, const LinearOutput& output, int64_t row, int64_t n_rows) const noexcept {
    const int64_t total = total_rank(operation.outputs);
    const float* projected = low_rank_;
    for (const LinearOutput* before = operation.outputs.data(); before != &output; ++before) projected += total_rank(before->adapters);
    for (const LowRank& adapter : output.adapters) {
        for (int64_t t = 0; t < operation.n_tokens; ++t) {
            if (adapter.scales[t] == 0.0f) continue;
            float* const out = output.out.data + t * output.out.stride + row;
            for (int64_t k = 0; k < adapter.rank; ++k)
                kernels_.add_scaled(projected[t * total + k], adapter.b + k * adapter.b_stride + row, out, n_rows);
        }
        projected += adapter.rank;
    }
}

// Of each row of a layer of experts by its expert's matrices. @param by_token  `from` has one row for each token
void CpuDevice::project_experts_low_rank(std::span<const LowRank> adapters, int64_t n_in, Rows from, bool by_token) noexcept {
    const int64_t total = total_rank(adapters);
    if (total == 0) return;
    const MatmulKernel kernel = kernels_.matmul(DType::f32, TokenKernels::few).kernel;
    const int64_t row_bytes = n_in * static_cast<int64_t>(sizeof(float));
    pool_.for_each(experts_.n_rows, [&](int64_t row, int) noexcept {
        const int64_t source = experts_.source_of[row], token = source / experts_.n_used, expert = experts_.chosen[source];
        float* out = low_rank_ + row * total;
        for (const LowRank& adapter : adapters) {
            const float* const x = from.data + (by_token ? token : row) * from.stride;
            project_block(adapter, kernel,
                          {.weights = reinterpret_cast<const std::byte*>(adapter.a) + expert * adapter.rank * row_bytes,
                           .weight_row_bytes = row_bytes,
                           .n_rows = adapter.rank,
                           .activations = reinterpret_cast<const std::byte*>(x),
                           .activation_row_bytes = row_bytes,
                           .n_tokens = 1,
                           .n_in = n_in,
                           .out = out,
                           .out_stride = total},
                          token);
            out += adapter.rank;
        }
    });
}

// Rows [row, row + n_rows) of an expert's matrix, all rows of that expert.
void CpuDevice::add_expert_low_rank(const ExpertProduct& product, int64_t expert, int64_t row, int64_t n_rows) const noexcept {
    const int64_t total = total_rank(product.adapters), n_out = product.weight.shape[1];
    for (int64_t r = experts_.first_row[expert]; r < experts_.first_row[expert + 1]; ++r) {
        const float* projected = low_rank_ + r * total;
        for (const LowRank& adapter : product.adapters) {
            const float* const b = adapter.b + expert * adapter.rank * adapter.b_stride + row;
            if (adapter.scales[experts_.source_of[r] / experts_.n_used] != 0.0f)
                for (int64_t k = 0; k < adapter.rank; ++k)
                    kernels_.add_scaled(projected[k], b + k * adapter.b_stride, product.out + r * n_out + row, n_rows);
            projected += adapter.rank;
        }
    }
}

}  // namespace quern
