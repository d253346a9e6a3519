// The oracle of the attention kernels: softmax(scale q k^T) v, with the maximum found first and every sum in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/quant/float/f16.h"
#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q8_0.h"

namespace quern {
namespace {

struct Row {
    int64_t token, head;
};

template <typename Format>
double block_value(const std::byte* head, int64_t i) {
    float values[32];
    Format::decode(reinterpret_cast<const typename Format::Block*>(head)[i / 32], values);
    return static_cast<double>(values[i % 32]);
}

double value_at(const AttentionTask& task, const KvPages& pages, int64_t position, int64_t i) {
    const int64_t page = task.page_table[position / kv_page_tokens];
    const int64_t row = task.kv_head * kv_page_tokens + position % kv_page_tokens;
    const int64_t head = row * task.head_dim;
    switch (pages.type) {
        case KvType::f32:
            return static_cast<double>(reinterpret_cast<const float*>(pages.at(page, head))[i]);
        case KvType::f16:
            return static_cast<double>(f16_to_f32(reinterpret_cast<const uint16_t*>(pages.at(page, head))[i]));
        case KvType::q8_0:
            return block_value<Q8_0>(pages.at(page, head), i);
        case KvType::q4_0:
            return block_value<Q4_0>(pages.at(page, head), i);
    }
    return 0;
}

double score(const AttentionTask& task, Row row, int64_t position) {
    const float* q = task.q + row.token * task.q_stride + row.head * task.head_dim;
    double sum = 0;
    for (int i = 0; i < task.head_dim; ++i) sum += static_cast<double>(q[i]) * value_at(task, task.keys, position, i);
    sum *= static_cast<double>(task.scale);
    const auto cap = static_cast<double>(task.softcap);
    return cap > 0 ? cap * std::tanh(sum / cap) : sum;
}

void attend_row(const AttentionTask& task, Row row) {
    const int64_t own = task.first_position + row.token;
    const int64_t end = task.causal ? std::min(task.kv_end, own + 1) : task.kv_end;
    const int64_t begin = task.window > 0 ? std::max(task.kv_begin, own + 1 - task.window) : task.kv_begin;
    double largest = task.sinks ? static_cast<double>(task.sinks[row.head]) : -std::numeric_limits<double>::infinity();
    for (int64_t position = begin; position < end; ++position) largest = std::max(largest, score(task, row, position));
    double total = task.sinks ? std::exp(static_cast<double>(task.sinks[row.head]) - largest) : 0;
    std::vector<double> sums(static_cast<size_t>(task.head_dim));
    for (int64_t position = begin; position < end; ++position) {
        const double weight = std::exp(score(task, row, position) - largest);
        total += weight;
        for (int i = 0; i < task.head_dim; ++i) sums[static_cast<size_t>(i)] += weight * value_at(task, task.values, position, i);
    }
    const double divisor = task.partial != nullptr || total == 0 ? 1.0 : total;
    float* out = task.out + row.token * task.out_stride + row.head * task.head_dim;
    for (int i = 0; i < task.head_dim; ++i) out[i] = static_cast<float>(sums[static_cast<size_t>(i)] / divisor);
    if (task.partial == nullptr) return;
    float* partial = task.partial + (row.token * task.n_heads + row.head) * 2;
    partial[0] = static_cast<float>(largest);
    partial[1] = static_cast<float>(total);
}

}  // namespace

void attention_reference(const AttentionTask& task) noexcept {
    const int64_t group = task.n_heads / task.n_kv_heads;
    for (int64_t token = 0; token < task.n_tokens; ++token)
        for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) attend_row(task, {token, head});
}

}  // namespace quern
