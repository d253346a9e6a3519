// Random sequences for the tests of attention, every kernel of this machine, and checks of them against the reference.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/activation/activation_cpu.h"
#include "kernels/attention/attention_cpu.h"
#include "kernels/attention/kv_store.h"
#include "kernels/quant/float/f16.h"
#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q8_0.h"

namespace quern {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr uint16_t f16_nan = 0x7e00;
// Values have a spread of 1 and weights add up to 1, so this is absolute and relative at once.
inline constexpr double most_error = 5e-6;

struct Kernels {
    AttentionKernel attention;
    CombineKernel combine;
};

inline std::vector<Kernels> kernels_of_this_machine() {
    std::vector<Kernels> kernels{{scalar::attention, scalar::combine}};
    if (best_isa() >= Isa::avx2) kernels.push_back({avx2::attention, avx2::combine});
    if (best_isa() >= Isa::avx512) kernels.push_back({avx512::attention, avx512::combine});
    return kernels;
}

struct Sizes {
    int head_dim = 64, group = 1, n_kv_heads = 2;
    int64_t n_tokens = 1, first_position = 0;
    int page_padding = 24;
};

// A sequence in a shuffled page table. All that it must not read is NaN: pages of others, positions after its last token.
class Sequence {
  public:
    explicit Sequence(const Sizes& sizes) : sizes_(sizes), random_(static_cast<unsigned>(sizes.head_dim * 100 + sizes.group)) {
        const int64_t n_positions = sizes.first_position + sizes.n_tokens, n_pages = (n_positions + 63) / 64 + 3;
        table_.resize(static_cast<size_t>(n_pages));
        std::iota(table_.begin(), table_.end(), 0);
        std::shuffle(table_.begin(), table_.end(), random_);
        page_stride_ = sizes.n_kv_heads * kv_page_tokens * sizes.head_dim + sizes.page_padding;
        keys_.assign(static_cast<size_t>(n_pages * page_stride_), f16_nan);
        values_ = keys_;
        for (int64_t position = 0; position < n_positions; ++position)
            for (int head = 0; head < sizes.n_kv_heads; ++head) fill_row(keys_, position, head), fill_row(values_, position, head);
        q_ = normal_values(sizes.n_tokens * q_stride());
    }

    int n_heads() const { return sizes_.group * sizes_.n_kv_heads; }
    int64_t q_stride() const { return n_heads() * sizes_.head_dim + 5; }
    int64_t n_positions() const { return sizes_.first_position + sizes_.n_tokens; }
    std::vector<float>& q() { return q_; }
    std::vector<float> widened_keys() const { return widened(keys_); }
    std::vector<float> widened_values() const { return widened(values_); }
    uint16_t* key_at(int64_t position, int head) { return &keys_[row_of(position, head)]; }

    AttentionTask task(int kv_head, std::vector<float>& out) {
        out.assign(static_cast<size_t>(sizes_.n_tokens * q_stride()), -7.0f);
        return {.q = q_.data(),
                .q_stride = q_stride(),
                .n_tokens = sizes_.n_tokens,
                .first_position = sizes_.first_position,
                .keys = {reinterpret_cast<std::byte*>(keys_.data()), page_stride_},
                .values = {reinterpret_cast<std::byte*>(values_.data()), page_stride_},
                .page_table = table_.data(),
                .kv_begin = 0,
                .kv_end = n_positions(),
                .n_heads = n_heads(),
                .n_kv_heads = sizes_.n_kv_heads,
                .head_dim = sizes_.head_dim,
                .kv_head = kv_head,
                .scale = 1.0f / std::sqrt(static_cast<float>(sizes_.head_dim)),
                .out = out.data(),
                .out_stride = q_stride()};
    }

  private:
    size_t row_of(int64_t position, int head) const {
        const int64_t page = table_[static_cast<size_t>(position / kv_page_tokens)];
        return static_cast<size_t>(page * page_stride_ + (head * kv_page_tokens + position % kv_page_tokens) * sizes_.head_dim);
    }
    std::vector<float> normal_values(int64_t n) {
        std::normal_distribution<float> normal;
        std::vector<float> values(static_cast<size_t>(n));
        for (float& each : values) each = normal(random_);
        return values;
    }
    static std::vector<float> widened(const std::vector<uint16_t>& cache) {
        std::vector<float> values;
        for (const uint16_t bits : cache) values.push_back(f16_to_f32(bits));
        return values;
    }

    void fill_row(std::vector<uint16_t>& cache, int64_t position, int head) {
        scalar::to_f16(normal_values(sizes_.head_dim).data(), &cache[row_of(position, head)], sizes_.head_dim);
    }

    Sizes sizes_;
    std::mt19937 random_;
    std::vector<int32_t> table_;
    std::vector<uint16_t> keys_, values_;
    std::vector<float> q_;
    int64_t page_stride_ = 0;
};

inline double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const double difference = a[i] == b[i] ? 0.0 : std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        worst = difference <= worst ? worst : difference;  // also takes a NaN
    }
    return worst;
}

// All kernels against the reference, over a range of the cache.
// `change` sets what a model asks for besides: a window, a soft cap, sinks.
inline void check_range(const Sizes& sizes, int64_t kv_begin, int64_t kv_end, const std::function<void(AttentionTask&)>& change = {}) {
    Sequence sequence(sizes);
    const int kv_head = sizes.n_kv_heads - 1;
    std::vector<float> expected, result;
    AttentionTask task = sequence.task(kv_head, expected);
    task.kv_begin = kv_begin;
    task.kv_end = kv_end;
    if (change) change(task);
    attention_reference(task);
    for (const Kernels& kernels : kernels_of_this_machine())
        for (const KeyScoring scoring : {KeyScoring::direct, KeyScoring::transposed}) {
            task.out = sequence.task(kv_head, result).out;
            task.scoring = scoring;
            kernels.attention(task);
            CHECK(worst_difference(expected, result) < most_error);
        }
}

using Bytes = std::vector<std::byte>;

// A cache of f16 values rewritten as another type.
inline Bytes rewritten(const std::vector<float>& values, KvType type) {
    Bytes bytes(static_cast<size_t>(kv_bytes(type, static_cast<int64_t>(values.size()))));
    if (type == KvType::f32)
        std::memcpy(bytes.data(), values.data(), bytes.size());
    else if (type == KvType::f16)
        scalar::to_f16(values.data(), reinterpret_cast<uint16_t*>(bytes.data()), static_cast<int64_t>(values.size()));
    else
        store_kv_blocks(type, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
    return bytes;
}

// The same cache in other types: the kernels that read them must agree with the reference on it.
inline void check_cache_types(Sizes sizes, KvType key_type, KvType value_type) {
    sizes.page_padding = 32;  // whole blocks
    Sequence sequence(sizes);
    std::vector<float> expected, result;
    AttentionTask task = sequence.task(0, expected);
    Bytes keys = rewritten(sequence.widened_keys(), key_type), values = rewritten(sequence.widened_values(), value_type);
    task.keys = {keys.data(), task.keys.page_stride, key_type};
    task.values = {values.data(), task.values.page_stride, value_type};
    attention_reference(task);
    for (const Kernels& kernels : kernels_of_this_machine())
        for (const KeyScoring scoring : {KeyScoring::direct, KeyScoring::transposed}) {
            task.out = sequence.task(0, result).out;
            task.scoring = scoring;
            kernels.attention(task);
            CHECK(worst_difference(expected, result) < most_error);
        }
}

// Whole attention as shares of the cache, merged.
inline void check_split(const Sizes& sizes, int n_splits, const float* sinks = nullptr) {
    Sequence sequence(sizes);
    std::vector<float> expected, merged;
    AttentionTask whole = sequence.task(0, expected);
    whole.sinks = sinks;
    attention_reference(whole);
    const auto n_rows = static_cast<size_t>(sizes.n_tokens * sequence.n_heads());
    for (const Kernels& kernels : kernels_of_this_machine()) {
        std::vector<std::vector<float>> outs(static_cast<size_t>(n_splits));
        std::vector<float> gathered, partials(n_rows * 2 * outs.size());
        for (int split = 0; split < n_splits; ++split) {
            AttentionTask task = sequence.task(0, outs[static_cast<size_t>(split)]);
            task.kv_begin = sequence.n_positions() * split / n_splits;
            task.kv_end = sequence.n_positions() * (split + 1) / n_splits;
            task.partial = partials.data() + static_cast<size_t>(split) * n_rows * 2;
            task.sinks = split == 0 ? sinks : nullptr;
            kernels.attention(task);
            gathered.insert(gathered.end(), outs[static_cast<size_t>(split)].begin(), outs[static_cast<size_t>(split)].end());
        }
        sequence.task(0, merged);
        for (int64_t token = 0; token < sizes.n_tokens; ++token)
            for (int head = 0; head < sizes.group; ++head) {
                const int64_t at = token * sequence.q_stride() + head * sizes.head_dim;
                kernels.combine({.outs = gathered.data() + at,
                                 .split_stride = static_cast<int64_t>(outs[0].size()),
                                 .partials = partials.data() + (token * sequence.n_heads() + head) * 2,
                                 .partial_stride = static_cast<int64_t>(n_rows) * 2,
                                 .n_splits = n_splits,
                                 .head_dim = sizes.head_dim,
                                 .out = merged.data() + at});
            }
        CHECK(worst_difference(expected, merged) < most_error);
    }
}

}  // namespace quern
