// Scores of a few queries straight from the keys as they are kept: with so few rows, transposing a page would cost more than it saves.
#pragma once

#include <cstdint>

#include "kernels/attention/attention.h"
#include "kernels/attention/tile_product.h"
#include "kernels/inline.h"

namespace quern {

/// The keys of n tokens of a page, and what to fetch from memory meanwhile: as many rows at each of `ahead`.
template <typename Keys>
struct KeyBlock {
    Keys keys{};
    int64_t head_dim = 0;
    int n = 0;
    Keys next_keys{};                        ///< of the page after this one; null if there is none
    const std::byte* next_values = nullptr;  ///< likewise
    int64_t value_row_bytes = 0;
};

/// scores[r * kv_page_tokens + t] = q[r] . keys[t], t < n, and unspecified values up to the next multiple of V::width.
/// REQUIRES: head_dim is a multiple of V::width; rows divides V::width.
template <typename V, int rows, typename Keys>
[[gnu::noinline]] void dot_keys(const float* q, const KeyBlock<Keys>& block, float* scores) {
    const int64_t head_dim = block.head_dim;
    const int n = block.n;
    constexpr int step = V::width / rows;  // keys at a time: rows * step sums, which then collapse into one vector together
    for (int token = 0; token < n; token += step) {
        Keys key[step];
        for (int k = 0; k < step; ++k) key[k] = block.keys + (token + k < n ? token + k : n - 1) * head_dim;
        V sums[V::width];
        for (V& sum : sums) sum = V::splat(0.0f);
        for (int64_t i = 0; i < head_dim; i += V::width) {
            const bool new_line = i % values_in_line(Keys{}) == 0;
            V queries[rows];
            for (int r = 0; r < rows; ++r) queries[r] = V::load(q + r * head_dim + i);
            for (int k = 0; k < step; ++k) {
                const V value = load_as_f32<V>(key[k] + i);
                if (new_line && block.next_keys) {  // spread over the work, so that neither waits for the other
                    fetch(block.next_keys + ((token + k) * head_dim + i));
                    fetch(block.next_values + (token + k) * block.value_row_bytes + i * block.value_row_bytes / head_dim);
                }
                for (int r = 0; r < rows; ++r) sums[r * step + k] = fma(value, queries[r], sums[r * step + k]);
            }
        }
        float lanes[V::width];
        V::totals(sums).store(lanes);
        for (int r = 0; r < rows; ++r)
            for (int k = 0; k < step; ++k) scores[r * kv_page_tokens + token + k] = lanes[r * step + k];
    }
}

/// The same for any number of rows.
template <typename V, typename Keys>
QUERN_INLINE void dot_keys(const float* q, int64_t n_rows, KeyBlock<Keys> block, float* scores) {
    for (int64_t row = 0; row < n_rows;) {
        const int64_t left = n_rows - row, rows = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        const float* first = q + row * block.head_dim;
        float* out = scores + row * kv_page_tokens;
        if (rows == 4)
            dot_keys<V, 4>(first, block, out);
        else if (rows == 2)
            dot_keys<V, 2>(first, block, out);
        else
            dot_keys<V, 1>(first, block, out);
        row += rows;
        block.next_keys = Keys{};  // once is enough
    }
}

}  // namespace quern
