// Paged attention with an online softmax, once for every instruction set.
// Rows are (token, head of the group) pairs; a tile of them shares each page. For prompts a page is first widened to f32 and its keys are
// transposed; answers read it as it is. Then scores = q k^T, p = exp(scores - max), sums = sums exp(old max - max) + p v. Sources:
// Milakov, Gimelshein 2018 (online softmax); Dao et al. 2022 (FlashAttention).
#pragma once

#include <type_traits>

#include "kernels/activation/activation_kernel.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/dot_keys.h"
#include "kernels/attention/tile_product.h"
#include "kernels/simd/float_math.h"

namespace quern {

inline constexpr int most_tile_rows = 128;
// Queries and sums of a tile: 64 KB each, so that a tile with its page stays in a 512 KB cache.
inline constexpr int most_tile_values = 128 * 128;

template <typename V>
class AttentionTile {
  public:
    explicit AttentionTile(const AttentionTask& task) noexcept
        : task_(task), group_(task.n_heads / task.n_kv_heads), stride_((task.head_dim + V::width - 1) / V::width * V::width) {}

    int64_t most_rows() const noexcept {
        const int64_t rows = most_tile_values / stride_;
        return rows < most_tile_rows ? rows : most_tile_rows;
    }

    /// Rows [first_row, first_row + n_rows) of the n_tokens * group.
    void run(int64_t first_row, int64_t n_rows) noexcept {
        first_row_ = first_row;
        n_rows_ = n_rows;
        load_queries();
        // Whole pages: what a row's sums are made of must not depend on where the window of the tile's first row begins.
        const int64_t after_last = end_of(n_rows - 1), first_seen = begin_of(0) / kv_page_tokens * kv_page_tokens;
        end_ = task_.kv_end < after_last ? task_.kv_end : after_last;
        for (int64_t begin = task_.kv_begin < first_seen ? first_seen : task_.kv_begin; begin < end_;) {
            const int64_t page_end = (begin / kv_page_tokens + 1) * kv_page_tokens;
            const int64_t block_end = page_end < end_ ? page_end : end_;
            attend_block(begin, static_cast<int>(block_end - begin));
            begin = block_end;
        }
        store_sums();
    }

  private:
    int64_t token_of(int64_t row) const noexcept { return (first_row_ + row) / group_; }
    int64_t head_of(int64_t row) const noexcept { return task_.kv_head * group_ + (first_row_ + row) % group_; }
    // The positions that a row sees are [begin_of, end_of).
    int64_t end_of(int64_t row) const noexcept { return task_.causal ? task_.first_position + token_of(row) + 1 : task_.kv_end; }
    int64_t begin_of(int64_t row) const noexcept {
        const int64_t after_window = task_.first_position + token_of(row) + 1 - task_.window;
        return task_.window > 0 && after_window > 0 ? after_window : 0;
    }

    void load_queries() noexcept {
        for (int64_t row = 0; row < n_rows_; ++row) {
            const float* q = task_.q + token_of(row) * task_.q_stride + head_of(row) * task_.head_dim;
            for (int64_t i = 0; i < stride_; i += V::width) {
                (V::load_first(q + i, static_cast<int>(task_.head_dim - i)) * V::splat(task_.scale)).store(queries_ + row * stride_ + i);
                V::splat(0.0f).store(sums_ + row * stride_ + i);
            }
            largest_[row] = task_.sinks != nullptr ? task_.sinks[head_of(row)] : -__builtin_inff();
            totals_[row] = task_.sinks != nullptr ? 1.0f : 0.0f;
        }
    }

    // Calls f with the pointer to this position's row of the KV head.
    template <typename F>
    void with_row(const KvPages& pages, int64_t position, F f) const noexcept {
        const int64_t row = task_.kv_head * kv_page_tokens + position % kv_page_tokens;
        with_pointer(pages, task_.page_table[position / kv_page_tokens], row * task_.head_dim, f);
    }

    // Where the values of the page after the one of `position` begin, for fetching them early; nullptr past the range.
    const std::byte* next_values(int64_t position) const noexcept {
        const int64_t next = (position / kv_page_tokens + 1) * kv_page_tokens;
        if (next >= end_) return nullptr;
        return task_.values.at(task_.page_table[next / kv_page_tokens], task_.kv_head * kv_page_tokens * task_.head_dim);
    }

    // The n keys and values from position `begin` on, all of one page.
    void attend_block(int64_t begin, int n) noexcept {
        const int64_t n_vectors = (n + V::width - 1) / V::width;
        const bool direct = task_.scoring == KeyScoring::direct && stride_ == task_.head_dim;
        with_row(task_.keys, begin, [&](auto keys) noexcept {
            if (direct)
                score_directly(keys, begin, n);
            else
                score_tile(keys, n, n_vectors);
        });
        for (int64_t row = 0; row < n_rows_; ++row) {
            if (task_.softcap > 0.0f) cap_scores(row, n_vectors);
            if (task_.window > 0) hide_scores(row, begin_of(row) - begin, n_vectors);
            const int64_t seen = end_of(row) - begin;
            weigh_scores(row, seen <= 0 ? 0 : seen < n ? static_cast<int>(seen) : n, n_vectors);
        }
        with_row(task_.values, begin, [&](auto values) noexcept {
            if (direct)
                tile_product<V>(TileProduct<decltype(values)>{scores_, kv_page_tokens, values, stride_, n, sums_, stride_, true}, n_rows_,
                                stride_ / V::width);
            else
                add_tile(values, n);
        });
    }

    template <typename Keys>
    void score_directly(Keys keys, int64_t begin, int n) noexcept {
        const int64_t next = (begin / kv_page_tokens + 1) * kv_page_tokens;
        KeyBlock<Keys> block{.keys = keys, .head_dim = stride_, .n = n};
        if (next < end_) {
            with_row(task_.keys, next, [&](auto next_keys) noexcept {
                if constexpr (std::is_same_v<decltype(next_keys), Keys>) block.next_keys = next_keys;
            });
            block.next_values = next_values(begin);
            block.value_row_bytes = kv_bytes(task_.values.type, task_.head_dim);
        }
        dot_keys<V>(queries_, n_rows_, block, scores_);
    }

    template <typename Keys>
    void score_tile(Keys keys, int n, int64_t n_vectors) noexcept {
        transpose_keys(keys, n);
        tile_product<V>(TileProduct<const float*>{queries_, stride_, keys_, kv_page_tokens, task_.head_dim, scores_, kv_page_tokens, false},
                        n_rows_, n_vectors);
    }

    template <typename Values>
    void add_tile(Values values, int n) noexcept {
        widen_values(values, n);
        tile_product<V>(TileProduct<const float*>{scores_, kv_page_tokens, values_, stride_, n, sums_, stride_, true}, n_rows_,
                        stride_ / V::width);
    }

    // keys_[i, token] = key[token, i]. Tokens from n on, up to a whole vector, are 0.
    template <typename Keys>
    void transpose_keys(Keys keys, int n) noexcept {
        for (int token = 0; token < n; token += V::width)
            for (int i = 0; i < task_.head_dim; i += V::width) {
                const int left = task_.head_dim - i;
                V rows[V::width];
                for (int row = 0; row < V::width; ++row) {
                    const Keys key = keys + (static_cast<int64_t>(token + row) * task_.head_dim + i);
                    if (token + row >= n)
                        rows[row] = V::splat(0.0f);
                    else
                        rows[row] = left >= V::width ? load_as_f32<V>(key) : load_first_as_f32<V>(key, left);
                }
                V::transpose(rows);
                for (int row = 0; row < V::width; ++row)
                    if (row < left) rows[row].store(keys_ + static_cast<int64_t>(i + row) * kv_page_tokens + token);
            }
    }

    template <typename Values>
    void widen_values(Values values, int n) noexcept {
        for (int token = 0; token < n; ++token)
            for (int i = 0; i < stride_; i += V::width) {
                const Values value = values + (static_cast<int64_t>(token) * task_.head_dim + i);
                const int left = task_.head_dim - i;
                (left >= V::width ? load_as_f32<V>(value) : load_first_as_f32<V>(value, left)).store(values_ + token * stride_ + i);
            }
    }

    void cap_scores(int64_t row, int64_t n_vectors) noexcept {
        float* scores = scores_ + row * kv_page_tokens;
        for (int64_t v = 0; v < n_vectors; ++v)
            softcap(V::load(scores + v * V::width), V::splat(task_.softcap)).store(scores + v * V::width);
    }

    // The first n_hidden scores lie before the row's window.
    void hide_scores(int64_t row, int64_t n_hidden, int64_t n_vectors) noexcept {
        const V nothing = V::splat(-__builtin_inff());
        float* scores = scores_ + row * kv_page_tokens;
        for (int64_t v = 0; v < n_vectors && v * V::width < n_hidden; ++v)
            keep_first(nothing, static_cast<int>(n_hidden - v * V::width), V::load(scores + v * V::width)).store(scores + v * V::width);
    }

    // Turns a row's scores into weights relative to its new maximum, and brings its sums there. The row sees the first `seen` scores.
    void weigh_scores(int64_t row, int seen, int64_t n_vectors) noexcept {
        const V nothing = V::splat(-__builtin_inff());
        float* scores = scores_ + row * kv_page_tokens;
        V most = V::splat(largest_[row]);
        for (int64_t v = 0; v < n_vectors; ++v) {
            const V score = keep_first(V::load(scores + v * V::width), seen - static_cast<int>(v) * V::width, nothing);
            score.store(scores + v * V::width);
            most = max(most, score);
        }
        const float old_largest = largest_[row], new_largest = largest(most);
        const bool sees_none = new_largest == -__builtin_inff();
        const V shift = V::splat(sees_none ? 0.0f : new_largest);
        V total_weight = V::splat(0.0f);
        for (int64_t v = 0; v < n_vectors; ++v) {
            const V weight = exp(V::load(scores + v * V::width) - shift);
            weight.store(scores + v * V::width);
            total_weight = total_weight + weight;
        }
        float shrink = 1.0f;
        if (new_largest != old_largest) {
            const V factor = exp(V::splat(old_largest) - shift);
            for (int64_t i = 0; i < stride_; i += V::width) (V::load(sums_ + row * stride_ + i) * factor).store(sums_ + row * stride_ + i);
            shrink = first(factor);
        }
        totals_[row] = totals_[row] * shrink + total(total_weight);
        largest_[row] = new_largest;
    }

    void store_sums() noexcept {
        for (int64_t row = 0; row < n_rows_; ++row) {
            const int64_t token = token_of(row), head = head_of(row);
            float factor = 1.0f;
            if (task_.partial != nullptr) {
                float* partial = task_.partial + (token * task_.n_heads + head) * 2;
                partial[0] = largest_[row];
                partial[1] = totals_[row];
            } else {
                factor = totals_[row] == 0.0f ? 0.0f : 1.0f / totals_[row];
            }
            float* out = task_.out + token * task_.out_stride + head * task_.head_dim;
            for (int64_t i = 0; i < task_.head_dim; i += V::width)
                (V::load(sums_ + row * stride_ + i) * V::splat(factor)).store_first(out + i, static_cast<int>(task_.head_dim - i));
        }
    }

    const AttentionTask& task_;
    const int64_t group_, stride_;  // stride_: head_dim, rounded up to whole vectors
    int64_t first_row_ = 0, n_rows_ = 0;
    int64_t end_ = 0;  // of the positions that some row sees
    float largest_[most_tile_rows], totals_[most_tile_rows];
    alignas(64) float queries_[most_tile_values];
    alignas(64) float sums_[most_tile_values];
    alignas(64) float scores_[most_tile_rows * kv_page_tokens];
    alignas(64) float keys_[most_head_dim * kv_page_tokens];    // [head_dim, tokens]
    alignas(64) float values_[kv_page_tokens * most_head_dim];  // [tokens, stride_]
};

template <typename V>
QUERN_INLINE void attention_kernel(const AttentionTask& task) noexcept {
    AttentionTile<V> tile(task);
    const int64_t n_rows = task.n_tokens * (task.n_heads / task.n_kv_heads), step = tile.most_rows();
    for (int64_t row = 0; row < n_rows; row += step) tile.run(row, n_rows - row < step ? n_rows - row : step);
}

/// out = sum of outs[s] exp(max_s - max) over the sum of total_s exp(max_s - max); 0 where no split saw anything.
template <typename V>
QUERN_INLINE void combine_kernel(const CombineTask& task) noexcept {
    const auto partial = [&](int64_t split) { return task.partials + split * task.partial_stride; };
    float most = -__builtin_inff(), weight_of_all = 0.0f;
    for (int split = 0; split < task.n_splits; ++split) most = partial(split)[0] > most ? partial(split)[0] : most;
    const V shift = V::splat(most == -__builtin_inff() ? 0.0f : most);
    for (int split = 0; split < task.n_splits; ++split)
        weight_of_all += first(exp(V::splat(partial(split)[0]) - shift)) * partial(split)[1];
    const V scale = V::splat(weight_of_all == 0.0f ? 0.0f : 1.0f / weight_of_all);
    for (int split = 0; split < task.n_splits; ++split) {
        const V weight = exp(V::splat(partial(split)[0]) - shift) * scale;
        for (int64_t i = 0; i < task.head_dim; i += V::width) {
            const int n = static_cast<int>(task.head_dim - i);
            const V before = split == 0 ? V::splat(0.0f) : V::load_first(task.out + i, n);
            fma(weight, V::load_first(task.outs + split * task.split_stride + i, n), before).store_first(task.out + i, n);
        }
    }
    if (task.n_splits == 0)
        for (int64_t i = 0; i < task.head_dim; ++i) task.out[i] = 0.0f;
}

}  // namespace quern
