// The linear phase on the CPU: norm and quantize the input once, multiply row blocks, finish each block while it is in cache.
#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_device.h"
#include "backend/cpu/work_units.h"

namespace quern {
namespace {

// Tokens that one thread norms and quantizes at a time.
constexpr int64_t tokens_per_block = 4;

struct BlockRange {
    int64_t first_block, n_blocks, rows;
};

}  // namespace

// Norms each token into its slot of the f32 area, then writes it in every format that the weights of this phase read.
void CpuDevice::prepare_activations(const LinearOperation& operation) noexcept {
    const int64_t n_in = operation.outputs.front().weight.shape.n_cols();
    bool wanted[n_activation_formats] = {};
    for (const LinearOutput& output : operation.outputs)
        wanted[static_cast<int>(kernels_.matmul(output.weight.dtype, operation.kernels).activations)] = true;
    for (const LinearOutput& output : operation.outputs)
        if (!output.adapters.empty()) wanted[static_cast<int>(kernels_.matmul(DType::f32, operation.kernels).activations)] = true;
    auto* const f32 = reinterpret_cast<float*>(activations_[static_cast<int>(ActivationFormat::f32)]);
    const int64_t n_blocks = (operation.n_tokens + tokens_per_block - 1) / tokens_per_block;
    pool_.for_each(n_blocks, [&](int64_t block, int) noexcept {
        const int64_t end = std::min(operation.n_tokens, (block + 1) * tokens_per_block);
        for (int64_t t = block * tokens_per_block; t < end; ++t) {
            const float* x = operation.x.data + t * operation.x.stride;
            if (operation.norm.weight) {
                norm_row(operation.norm, x, n_in, f32 + t * n_in);
                x = f32 + t * n_in;
            } else if (wanted[static_cast<int>(ActivationFormat::f32)]) {
                std::memcpy(f32 + t * n_in, x, static_cast<size_t>(n_in) * sizeof(float));
            }
            for (const ActivationFormat format : {ActivationFormat::bf16, ActivationFormat::i16_32, ActivationFormat::i16_256}) {
                const auto at = static_cast<int>(format);
                if (wanted[at]) kernels_.quantize(format)(x, activations_[at] + t * activation_row_bytes(format, n_in), n_in);
            }
        }
    });
}

// Bias, head norm, activation, rope, store and add for rows [row, row + n_rows) of one output, all tokens.
void CpuDevice::finish_rows(const LinearOperation& operation, const LinearOutput& output, int64_t row, int64_t n_rows) const noexcept {
    const int64_t head_dim = operation.head_dim;
    for (int64_t t = 0; t < operation.n_tokens; ++t) {
        float* out = output.out.data + t * output.out.stride + row;
        if (output.bias) kernels_.add(output.bias + row, out, n_rows);
        if (output.head_norm.weight)
            for (int64_t head = 0; head < n_rows; head += head_dim) norm_row(output.head_norm, out + head, head_dim, out + head);
        if (output.activation.kind != ActivationKind::none) kernels_.activate(output.activation, out, n_rows);
        if (output.rope)
            kernels_.rope(out, static_cast<int>(n_rows / head_dim), operation.head_dim, operation.angles + t * operation.rope_dims,
                          operation.rope_dims, operation.rope_style);
        if (output.store) store_row(*output.store, t, row / head_dim, out, n_rows, head_dim);
        if (output.add_to) kernels_.add(out, output.add_to + t * output.out.stride + row, n_rows);
    }
}

void CpuDevice::linear(const LinearOperation& operation) noexcept {
    prepare_activations(operation);
    project_low_rank(operation);
    const int64_t n_in = operation.outputs.front().weight.shape.n_cols();
    const auto n_matrices = operation.gating ? 1 : operation.outputs.size();  // a pair shares its blocks
    BlockRange ranges[most_linear_outputs];
    int64_t n_blocks = 0;
    for (size_t m = 0; m < n_matrices; ++m) {
        const LinearOutput& output = operation.outputs[m];
        const DType dtype = output.weight.dtype;
        const int64_t head_rows = output.rope || output.store || output.head_norm.weight ? operation.head_dim : 1;
        const int64_t rows =
            rows_per_unit(output.weight.shape.n_rows(), static_cast<int64_t>(row_bytes(dtype, static_cast<uint64_t>(n_in))),
                          kernels_.matmul(dtype, operation.kernels), head_rows, pool_.n_threads());
        const int64_t n = (output.weight.shape.n_rows() + rows - 1) / rows;
        ranges[m] = {n_blocks, n, rows};
        n_blocks += n;
    }
    const auto multiply = [&](const LinearOutput& output, int64_t row, int64_t n_rows) noexcept {
        const TensorView& weight = output.weight;
        const MatmulChoice choice = kernels_.matmul(weight.dtype, operation.kernels);
        const auto bytes = static_cast<int64_t>(row_bytes(weight.dtype, static_cast<uint64_t>(n_in)));
        choice.kernel({.weights = weight.data + row * bytes,
                       .weight_row_bytes = bytes,
                       .n_rows = n_rows,
                       .activations = activations_[static_cast<int>(choice.activations)],
                       .activation_row_bytes = activation_row_bytes(choice.activations, n_in),
                       .n_tokens = operation.n_tokens,
                       .n_in = n_in,
                       .out = output.out.data + row,
                       .out_stride = output.out.stride});
        if (!output.adapters.empty()) add_low_rank(operation, output, row, n_rows);
    };
    pool_.for_each(n_blocks, [&](int64_t block, int) noexcept {
        size_t m = 0;
        while (block >= ranges[m].first_block + ranges[m].n_blocks) ++m;
        const LinearOutput& output = operation.outputs[m];
        const int64_t row = (block - ranges[m].first_block) * ranges[m].rows;
        const int64_t n_rows = std::min(ranges[m].rows, output.weight.shape.n_rows() - row);
        multiply(output, row, n_rows);
        finish_rows(operation, output, row, n_rows);
        if (!operation.gating) return;
        const LinearOutput& up = operation.outputs[1];
        multiply(up, row, n_rows);
        finish_rows(operation, up, row, n_rows);
        for (int64_t t = 0; t < operation.n_tokens; ++t) {
            float* out = output.out.data + t * output.out.stride + row;
            kernels_.gate(*operation.gating, out, up.out.data + t * up.out.stride + row, out, n_rows);
        }
    });
}

}  // namespace quern
