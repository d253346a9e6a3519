#include "backend/cpu/cpu_device.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/attention/kv_store.h"

namespace quern {
namespace {

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

std::unique_ptr<Device> make_cpu_device(int n_threads, std::optional<Isa> isa) {
    if (isa && *isa > best_isa())
        throw InvalidInput(concat("this CPU cannot run ", to_string(*isa), " kernels; its best are ", to_string(best_isa())));
    return std::make_unique<CpuDevice>(n_threads > 0 ? n_threads : usable_cores(), isa.value_or(best_isa()));
}

std::string CpuDevice::description() const {
    const int n = pool_.n_threads();
    return concat("CPU (", to_string(kernels_.isa), ", ", n, n == 1 ? " thread)" : " threads)");
}

CpuDevice::ScratchLayout CpuDevice::scratch_layout(const ScratchNeeds& needs) const {
    ScratchLayout layout{};
    const auto take = [&](int64_t bytes) {
        const uint64_t at = layout.bytes;
        layout.bytes += align_up(static_cast<uint64_t>(bytes));
        return at;
    };
    const int64_t n_in = (needs.max_n_in + 255) / 256 * 256;
    for (int format = 0; format < n_activation_formats; ++format)
        layout.activations[format] = take(needs.n_tokens * activation_row_bytes(static_cast<ActivationFormat>(format), n_in));
    const int64_t heads = most_splits * tokens_per_round * needs.n_heads;
    layout.partial_out = take(heads * needs.head_dim * 4);
    layout.partial_stats = take(heads * 2 * 4);
    const int64_t rows = needs.n_expert_rows;
    layout.low_rank = take(std::max(needs.n_tokens * needs.low_rank, rows * needs.expert_low_rank) * 4);
    if (rows == 0) return layout;
    const int64_t widest_in = (std::max(needs.expert_n_embd, needs.expert_n_ff) + 255) / 256 * 256;
    for (int format = 0; format < n_activation_formats; ++format)
        layout.widest = std::max(layout.widest, activation_row_bytes(static_cast<ActivationFormat>(format), widest_in));
    for (uint64_t* const each : {&layout.chosen, &layout.shares, &layout.row_of, &layout.source_of}) *each = take(rows * 4);
    layout.first_row = take((most_experts + 1) * 4);
    layout.expert_activations = take(rows * layout.widest);
    layout.gate = take(rows * needs.expert_n_ff * 4);
    layout.up = take(rows * needs.expert_n_ff * 4);
    layout.down = take(rows * needs.expert_n_embd * 4);
    return layout;
}

uint64_t CpuDevice::scratch_bytes(const ScratchNeeds& needs) const { return scratch_layout(needs).bytes; }

void CpuDevice::reserve(const ScratchNeeds& needs) {
    needs_ = {.n_tokens = std::max(needs_.n_tokens, needs.n_tokens),
              .max_n_in = std::max(needs_.max_n_in, needs.max_n_in),
              .n_heads = std::max(needs_.n_heads, needs.n_heads),
              .head_dim = std::max(needs_.head_dim, needs.head_dim),
              .n_expert_rows = std::max(needs_.n_expert_rows, needs.n_expert_rows),
              .expert_n_embd = std::max(needs_.expert_n_embd, needs.expert_n_embd),
              .expert_n_ff = std::max(needs_.expert_n_ff, needs.expert_n_ff),
              .low_rank = std::max(needs_.low_rank, needs.low_rank),
              .expert_low_rank = std::max(needs_.expert_low_rank, needs.expert_low_rank)};
    const ScratchLayout layout = scratch_layout(needs_);
    scratch_ = Buffer(layout.bytes, "scratch memory");
    for (int format = 0; format < n_activation_formats; ++format) activations_[format] = scratch_.data() + layout.activations[format];
    partial_out_ = reinterpret_cast<float*>(scratch_.data() + layout.partial_out);
    partial_stats_ = reinterpret_cast<float*>(scratch_.data() + layout.partial_stats);
    low_rank_ = reinterpret_cast<float*>(scratch_.data() + layout.low_rank);
    const auto ints = [&](uint64_t offset) { return reinterpret_cast<int32_t*>(scratch_.data() + offset); };
    const auto floats = [&](uint64_t offset) { return reinterpret_cast<float*>(scratch_.data() + offset); };
    if (needs_.n_expert_rows > 0)
        experts_ = {.chosen = ints(layout.chosen),
                    .shares = floats(layout.shares),
                    .row_of = ints(layout.row_of),
                    .source_of = ints(layout.source_of),
                    .first_row = ints(layout.first_row),
                    .activations = scratch_.data() + layout.expert_activations,
                    .widest = layout.widest,
                    .gate = floats(layout.gate),
                    .up = floats(layout.up),
                    .down = floats(layout.down)};
}

void CpuDevice::embed(const EmbedOperation& operation) noexcept {
    const int64_t n = operation.table.shape.n_cols();
    const auto bytes = static_cast<int64_t>(row_bytes(operation.table.dtype, static_cast<uint64_t>(n)));
    const DecodeKernel decode = kernels_.decode(operation.table.dtype);
    pool_.for_each(static_cast<int64_t>(operation.tokens.size()), [&](int64_t t, int) noexcept {
        const int32_t token = operation.tokens[static_cast<size_t>(t)];
        float* const out = operation.out.data + t * operation.out.stride;
        decode(operation.table.data + token * bytes, out, n);
        for (const LowRank& adapter : operation.adapters) {
            const float scale = adapter.factor * adapter.scales[t];
            if (adapter.scales[t] == 0.0f) continue;
            for (int64_t k = 0; k < adapter.rank; ++k)
                kernels_.add_scaled(scale * adapter.a[token * adapter.rank + k], adapter.b + k * adapter.b_stride, out, n);
        }
    });
}

void CpuDevice::norm_row(const Norm& norm, const float* x, int64_t n, float* out) const noexcept {
    if (norm.kind == NormKind::rms)
        kernels_.rms_norm(x, norm.weight, norm.eps, n, out);
    else
        kernels_.layer_norm(x, norm.weight, norm.bias, {n, norm.eps}, out);
}

void CpuDevice::norm(const NormOperation& operation) noexcept {
    pool_.for_each(operation.n_rows, [&](int64_t row, int) noexcept {
        float* const out = operation.out.data + row * operation.out.stride;
        for (int64_t group = 0; group < operation.n_groups; ++group)
            norm_row(operation.norm, operation.x.data + row * operation.x.stride + group * operation.n, operation.n,
                     out + group * operation.n);
        if (operation.add_to) kernels_.add(out, operation.add_to + row * operation.out.stride, operation.n_groups * operation.n);
    });
}

void CpuDevice::rope(const RopeOperation& operation) noexcept {
    pool_.for_each(operation.n_tokens, [&](int64_t t, int) noexcept {
        kernels_.rope(operation.x.data + t * operation.x.stride, operation.n_heads, operation.head_dim,
                      operation.angles + t * operation.rope_dims, operation.rope_dims, operation.style);
    });
}

// Writes the n values of some heads of one token to its place in the cache.
void CpuDevice::store_row(const KvTarget& target, int64_t token, int64_t first_head, const float* x, int64_t n,
                          int64_t head_dim) const noexcept {
    const int64_t slot = target.slots[static_cast<size_t>(token)];
    for (int64_t i = 0; i < n; i += head_dim) {
        const int64_t row = (first_head + i / head_dim) * kv_page_tokens + slot % kv_page_tokens;
        std::byte* to = target.pages.at(slot / kv_page_tokens, row * head_dim);
        if (target.pages.type == KvType::f32)
            std::memcpy(to, x + i, static_cast<size_t>(head_dim) * sizeof(float));
        else if (target.pages.type == KvType::f16)
            kernels_.to_f16(x + i, reinterpret_cast<uint16_t*>(to), head_dim);
        else
            store_kv_blocks(target.pages.type, x + i, to, head_dim);
    }
}

void CpuDevice::store(const StoreOperation& operation) noexcept {
    pool_.for_each(operation.n_tokens, [&](int64_t t, int) noexcept {
        const int64_t n = static_cast<int64_t>(operation.n_kv_heads) * operation.head_dim;
        store_row(operation.target, t, 0, operation.x.data + t * operation.x.stride, n, operation.head_dim);
    });
}

void CpuDevice::elementwise(const ElementwiseOperation& operation) noexcept {
    const auto n = static_cast<size_t>(operation.n_cols);
    pool_.for_each(operation.n_rows, [&](int64_t row, int) noexcept {
        const float* a = operation.a.data + row * operation.a.stride;
        const float* b = operation.b.data + (operation.kind == Elementwise::add_bias ? 0 : row * operation.b.stride);
        float* out = operation.out.data + row * operation.out.stride;
        switch (operation.kind) {
            case Elementwise::add:
            case Elementwise::add_bias:
                for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
                return;
            case Elementwise::multiply:
                for (size_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
                return;
            case Elementwise::multiply_rows:
                for (size_t i = 0; i < n; ++i) out[i] = a[i] * b[0];
                return;
            case Elementwise::scale:
                for (size_t i = 0; i < n; ++i) out[i] = a[i] * operation.factor;
                return;
            case Elementwise::activate:
                for (size_t i = 0; i < n; ++i) out[i] = activate_reference(operation.activation, a[i]);
                return;
            case Elementwise::copy:
                std::memmove(out, a, n * sizeof(float));
                return;
        }
    });
}

void CpuDevice::copy_heads(const CopyHeadsOperation& operation) noexcept {
    const int64_t from = operation.x.stride / operation.n_heads, to = operation.out.stride / operation.n_heads;
    pool_.for_each(operation.n_rows, [&](int64_t row, int) noexcept {
        for (int64_t head = 0; head < operation.n_heads; ++head)
            std::memcpy(operation.out.data + row * operation.out.stride + head * to,
                        operation.x.data + row * operation.x.stride + head * from, static_cast<size_t>(operation.n) * sizeof(float));
    });
}

void CpuDevice::select_rows(const SelectRowsOperation& operation) noexcept {
    const auto bytes = static_cast<size_t>(operation.n_cols) * sizeof(float);
    pool_.for_each(static_cast<int64_t>(operation.rows.size()), [&](int64_t i, int) noexcept {
        std::memcpy(operation.out.data + i * operation.out.stride,
                    operation.x.data + operation.rows[static_cast<size_t>(i)] * operation.x.stride, bytes);
    });
}

}  // namespace quern
