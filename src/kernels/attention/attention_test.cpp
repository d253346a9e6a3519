// Attention and its merging against the reference in double: shapes, pages, ranges and masks.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/activation/activation_cpu.h"
#include "kernels/attention/attention_cpu.h"
#include "kernels/quant/float/f16.h"

using namespace quern;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr uint16_t f16_nan = 0x7e00;
// Values have a spread of 1 and weights add up to 1, so this is absolute and relative at once.
constexpr double most_error = 5e-6;

struct Kernels {
    AttentionKernel attention;
    CombineKernel combine;
};

std::vector<Kernels> kernels_of_this_machine() {
    std::vector<Kernels> kernels{{scalar::attention, scalar::combine}};
    if (best_isa() >= Isa::avx2) kernels.push_back({avx2::attention, avx2::combine});
    if (best_isa() >= Isa::avx512) kernels.push_back({avx512::attention, avx512::combine});
    return kernels;
}

struct Sizes {
    int head_dim = 64, group = 1, n_kv_heads = 2;
    int64_t n_tokens = 1, first_position = 0;
};

// A sequence in a shuffled page table. All that it must not read is NaN: pages of others, positions after its last token.
class Sequence {
  public:
    explicit Sequence(const Sizes& sizes) : sizes_(sizes), random_(static_cast<unsigned>(sizes.head_dim * 100 + sizes.group)) {
        const int64_t n_positions = sizes.first_position + sizes.n_tokens, n_pages = (n_positions + 63) / 64 + 3;
        table_.resize(static_cast<size_t>(n_pages));
        std::iota(table_.begin(), table_.end(), 0);
        std::shuffle(table_.begin(), table_.end(), random_);
        page_stride_ = sizes.n_kv_heads * kv_page_tokens * sizes.head_dim + 24;
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

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
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
void check_range(const Sizes& sizes, int64_t kv_begin, int64_t kv_end, const std::function<void(AttentionTask&)>& change = {}) {
    Sequence sequence(sizes);
    const int kv_head = sizes.n_kv_heads - 1;
    std::vector<float> expected, result;
    AttentionTask task = sequence.task(kv_head, expected);
    task.kv_begin = kv_begin;
    task.kv_end = kv_end;
    if (change) change(task);
    attention_reference(task);
    for (const Kernels& kernels : kernels_of_this_machine()) {
        task.out = sequence.task(kv_head, result).out;
        kernels.attention(task);
        CHECK(worst_difference(expected, result) < most_error);
    }
}

// The same cache widened to f32: the kernels that read f32 must agree with the reference on it.
void check_f32_cache(const Sizes& sizes) {
    Sequence sequence(sizes);
    std::vector<float> expected, result;
    AttentionTask task = sequence.task(0, expected);
    const std::vector<float> keys = sequence.widened_keys(), values = sequence.widened_values();
    task.keys = {reinterpret_cast<std::byte*>(const_cast<float*>(keys.data())), task.keys.page_stride, KvType::f32};
    task.values = {reinterpret_cast<std::byte*>(const_cast<float*>(values.data())), task.values.page_stride, KvType::f32};
    attention_reference(task);
    for (const Kernels& kernels : kernels_of_this_machine()) {
        task.out = sequence.task(0, result).out;
        kernels.attention(task);
        CHECK(worst_difference(expected, result) < most_error);
    }
}

// Whole attention as shares of the cache, merged.
void check_split(const Sizes& sizes, int n_splits, const float* sinks = nullptr) {
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

}  // namespace

TEST_CASE("attention is within 5e-6 of the reference for every head size and group") {
    for (const int head_dim : {8, 16, 48, 64, 80, 96, 128, 256, 512, 576})
        for (const int group : {1, 2, 3, 4, 7, 8}) {
            CAPTURE(head_dim);
            CAPTURE(group);
            check_range({.head_dim = head_dim, .group = group, .first_position = 200}, 0, 201);
            check_range({.head_dim = head_dim, .group = group, .n_tokens = 19, .first_position = 60}, 0, 79);
        }
}

TEST_CASE("a prompt attends causally, whatever its length") {
    for (const int64_t n_tokens : {1, 2, 5, 15, 16, 63, 64, 65, 130}) check_range({.group = 3, .n_tokens = n_tokens}, 0, n_tokens);
    check_range({.head_dim = 128, .group = 8, .n_tokens = 100, .first_position = 31}, 0, 131);
}

TEST_CASE("a range of the cache may begin and end within pages, and after what tokens see") {
    const Sizes sizes{.head_dim = 80, .group = 2, .n_tokens = 10, .first_position = 150};
    for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
             {0, 0}, {0, 1}, {63, 64}, {64, 65}, {30, 100}, {128, 155}, {150, 160}, {155, 160}, {155, 1000}, {200, 250}})
        check_range(sizes, begin, end);
}

TEST_CASE("shares of the cache merge into the whole, also when some saw nothing") {
    for (const int group : {1, 4})
        for (const int n_splits : {1, 2, 3, 7, 16}) {
            check_split({.head_dim = 64, .group = group, .n_tokens = 1, .first_position = 300}, n_splits);
            check_split({.head_dim = 48, .group = group, .n_tokens = 16, .first_position = 3}, n_splits);
        }
}

TEST_CASE("a row that sees nothing gives a maximum of minus infinity, no weight and a zero sum") {
    Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = 3, .first_position = 10});
    for (const Kernels& kernels : kernels_of_this_machine()) {
        std::vector<float> out, partials(3 * 4 * 2, 9.0f);
        AttentionTask task = sequence.task(1, out);
        task.kv_begin = 12;  // only the last token sees it
        task.partial = partials.data();
        kernels.attention(task);
        for (const size_t row : {2u, 3u, 6u, 7u}) {
            CHECK(partials[row * 2] == -infinity);
            CHECK(partials[row * 2 + 1] == 0.0f);
        }
        CHECK(partials[10 * 2 + 1] == 1.0f);
        CHECK(partials[0] == 9.0f);  // of the other KV head
        for (size_t i = 0; i < 128; ++i) CHECK(out[128 + i] == 0.0f);
        CHECK(out[0] == -7.0f);
    }
}

TEST_CASE("combining nothing gives zeros") {
    for (const Kernels& kernels : kernels_of_this_machine()) {
        const std::vector<float> outs(40, 0.0f), partials{-infinity, 0.0f, -infinity, 0.0f};
        for (const int n_splits : {0, 2}) {
            std::vector<float> out(21, 3.0f);
            kernels.combine({.outs = outs.data(),
                             .split_stride = 20,
                             .partials = partials.data(),
                             .partial_stride = 2,
                             .n_splits = n_splits,
                             .head_dim = 20,
                             .out = out.data()});
            for (size_t i = 0; i < 20; ++i) CHECK(out[i] == 0.0f);
            CHECK(out[20] == 3.0f);
        }
    }
}

TEST_CASE("scores of thousands neither overflow nor lose the winner") {
    for (const int64_t n_tokens : {1, 30}) {
        Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = n_tokens, .first_position = 130});
        for (float& each : sequence.q()) each *= 1e4f;
        std::vector<float> expected, result;
        attention_reference(sequence.task(0, expected));
        for (const Kernels& kernels : kernels_of_this_machine()) {
            kernels.attention(sequence.task(0, result));
            CHECK(worst_difference(expected, result) < 1e-2);  // scores near 1e4 carry an error of 1e-3 in f32
        }
    }
}

TEST_CASE("what one token computes does not depend on how many follow it in the batch") {
    for (const Kernels& kernels : kernels_of_this_machine()) {
        Sequence sequence({.head_dim = 128, .group = 4, .n_tokens = 40, .first_position = 50});
        std::vector<float> whole, single;
        kernels.attention(sequence.task(0, whole));
        AttentionTask task = sequence.task(0, single);
        task.n_tokens = 1;
        task.kv_end = 51;
        kernels.attention(task);
        for (size_t i = 0; i < 4 * 128; ++i) CHECK(std::abs(whole[i] - single[i]) < most_error);
    }
}

TEST_CASE("keys that are not finite spoil only numbers") {
    for (const uint16_t bad : {uint16_t{0x7c00}, uint16_t{0xfc00}, f16_nan}) {
        Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = 20, .first_position = 70});
        sequence.key_at(80, 0)[5] = bad;
        std::vector<float> before, after;
        Sequence clean({.head_dim = 64, .group = 2, .n_tokens = 20, .first_position = 70});
        for (const Kernels& kernels : kernels_of_this_machine()) {
            kernels.attention(sequence.task(0, after));
            kernels.attention(clean.task(0, before));
            for (size_t token = 0; token < 10; ++token)  // tokens that do not see the bad key
                for (size_t i = 0; i < 128; ++i) {
                    const size_t at = token * static_cast<size_t>(clean.q_stride()) + i;
                    CHECK(before[at] == after[at]);
                }
        }
    }
}

TEST_CASE("a cache in f32 is read as exactly as one in f16") {
    for (const int head_dim : {8, 64, 80, 128})
        for (const int group : {1, 3, 8}) {
            CAPTURE(head_dim);
            CAPTURE(group);
            check_f32_cache({.head_dim = head_dim, .group = group, .n_tokens = 1, .first_position = 150});
            check_f32_cache({.head_dim = head_dim, .group = group, .n_tokens = 20, .first_position = 55});
        }
}

TEST_CASE("a window hides what lies before it, wherever its edge falls in a page") {
    for (const int64_t window : {1, 3, 16, 63, 64, 65, 100, 1000})
        for (const int64_t n_tokens : {1, 20, 130}) {
            CAPTURE(window);
            CAPTURE(n_tokens);
            const auto change = [&](AttentionTask& task) { task.window = window; };
            check_range({.head_dim = 64, .group = 3, .n_tokens = n_tokens, .first_position = 70}, 0, 70 + n_tokens, change);
            check_range({.head_dim = 80, .n_tokens = n_tokens, .first_position = 0}, 0, n_tokens, change);
        }
}

TEST_CASE("positions before a window are not read") {
    Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = 1, .first_position = 200});
    for (int64_t position = 0; position < 191; ++position) *sequence.key_at(position, 0) = f16_nan;
    for (const Kernels& kernels : kernels_of_this_machine()) {
        std::vector<float> out;
        AttentionTask task = sequence.task(0, out);
        task.window = 10;
        kernels.attention(task);
        for (size_t i = 0; i < 128; ++i) CHECK(std::isfinite(out[i]));
    }
}

TEST_CASE("soft caps, sinks and attention in both directions are those of the reference") {
    const std::vector<float> sinks{0.5f, -1.0f, 3.0f, 0.0f, 40.0f, -40.0f, 2.0f, 1.0f};
    for (const int group : {1, 4})
        for (const int64_t n_tokens : {1, 40}) {
            const Sizes sizes{.head_dim = 64, .group = group, .n_tokens = n_tokens, .first_position = 90};
            check_range(sizes, 0, 90 + n_tokens, [](AttentionTask& task) { task.softcap = 0.7f; });
            check_range(sizes, 0, 90 + n_tokens, [&](AttentionTask& task) { task.sinks = sinks.data(), task.window = 20; });
            check_range(sizes, 0, 90 + n_tokens, [](AttentionTask& task) { task.causal = false; });
            check_range(sizes, 100, 100, [&](AttentionTask& task) { task.sinks = sinks.data(); });
        }
    for (const int n_splits : {2, 7})
        check_split({.head_dim = 64, .group = 4, .n_tokens = 3, .first_position = 300}, n_splits, sinks.data());
}
