// Scores of a few queries straight from the keys as they are kept: with so few rows, transposing a page would cost more than it saves.
#pragma once

#include <cstdint>

#include "kernels/attention/attention.h"
#include "kernels/attention/tile_product.h"
#include "kernels/inline.h"

namespace quern {

/// The keys of n tokens of a page, and what to fetch from memory meanwhile: as many rows at each of `ahead`.
template <typename Element>
struct KeyBlock {
    const Element* keys = nullptr;
    int64_t head_dim = 0;
    int n = 0;
    const Element* ahead[2] = {nullptr, nullptr};
};

// Asks for the cache line of p, into the second level: a page of keys and one of values are more than the first level holds.
QUERN_INLINE void fetch(const void* p) { __builtin_prefetch(p, 0, 2); }

/// scores[r * kv_page_tokens + t] = q[r] . keys[t], t < n, and unspecified values up to the next multiple of V::width.
/// REQUIRES: head_dim is a multiple of V::width; rows divides V::width.
template <typename V, int rows, typename Element>
[[gnu::noinline]] void dot_keys(const float* q, const KeyBlock<Element>& block, float* scores) {
    const int64_t head_dim = block.head_dim;
    const int n = block.n;
    constexpr int step = V::width / rows;  // keys at a time: rows * step sums, which then collapse into one vector together
    for (int token = 0; token < n; token += step) {
        const Element* key[step];
        for (int k = 0; k < step; ++k) key[k] = block.keys + (token + k < n ? token + k : n - 1) * head_dim;
        V sums[V::width];
        for (V& sum : sums) sum = V::splat(0.0f);
        for (int64_t i = 0; i < head_dim; i += V::width) {
            const bool new_line = i % (64 / sizeof(Element)) == 0;
            V queries[rows];
            for (int r = 0; r < rows; ++r) queries[r] = V::load(q + r * head_dim + i);
            for (int k = 0; k < step; ++k) {
                const V value = load_as_f32<V>(key[k] + i);
                if (new_line && block.ahead[0] != nullptr) {  // spread over the work, so that neither waits for the other
                    fetch(block.ahead[0] + (token + k) * head_dim + i);
                    fetch(block.ahead[1] + (token + k) * head_dim + i);
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
template <typename V, typename Element>
QUERN_INLINE void dot_keys(const float* q, int64_t n_rows, KeyBlock<Element> block, float* scores) {
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
        block.ahead[0] = block.ahead[1] = nullptr;  // once is enough
    }
}

}  // namespace quern
