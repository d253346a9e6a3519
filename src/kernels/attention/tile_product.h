// A product of small matrices of floats with the accumulators in registers: both halves of attention, q k^T and p v.
#pragma once

#include <cstdint>

#include "kernels/attention/kv_pointer.h"
#include "kernels/inline.h"

namespace quern {

/// c[r, j] = (accumulate ? c[r, j] : 0) + sum over i < depth of a[r, i] b[i, j]; strides in floats.
/// b and c are read and written in whole vectors: their rows hold a multiple of V::width. Pointer: see kv_pointer.h.
template <typename Pointer>
struct TileProduct {
    const float* a = nullptr;
    int64_t a_stride = 0;
    Pointer b{};
    int64_t b_stride = 0;
    int64_t depth = 0;
    float* c = nullptr;
    int64_t c_stride = 0;
    bool accumulate = false;
};

/// Not inlined: one copy of each size, whose loop then gets the registers to itself.
template <typename V, int rows, int vectors, typename Pointer>
[[gnu::noinline]] void product_block(const TileProduct<Pointer>& p, int64_t row, int64_t column) {
    float* const c = p.c + row * p.c_stride + column;
    const float* const a = p.a + row * p.a_stride;
    Pointer b = p.b + column;
    V sums[rows][vectors];
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) sums[r][v] = p.accumulate ? V::load(c + r * p.c_stride + v * V::width) : V::splat(0.0f);
    for (int64_t i = 0; i < p.depth; ++i, b += p.b_stride) {
        V values[vectors];
        for (int v = 0; v < vectors; ++v) values[v] = load_as_f32<V>(b + v * V::width);
        for (int r = 0; r < rows; ++r) {
            const V factor = V::splat(a[r * p.a_stride + i]);
            for (int v = 0; v < vectors; ++v) sums[r][v] = fma(factor, values[v], sums[r][v]);
        }
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) sums[r][v].store(c + r * p.c_stride + v * V::width);
}

template <typename V, int vectors, typename Pointer>
QUERN_INLINE void product_rows(const TileProduct<Pointer>& p, int64_t row, int n_rows, int64_t column) {
    switch (n_rows) {
        case 1:
            return product_block<V, 1, vectors>(p, row, column);
        case 2:
            return product_block<V, 2, vectors>(p, row, column);
        case 3:
            return product_block<V, 3, vectors>(p, row, column);
        case 4:
            return product_block<V, 4, vectors>(p, row, column);
        case 5:
            return product_block<V, 5, vectors>(p, row, column);
        default:
            return product_block<V, 6, vectors>(p, row, column);
    }
}

/// The product of n_rows rows by n_vectors vectors of columns. Blocks of 6 rows by 4 vectors fill 32 registers, 6 by 2 fill 16.
template <typename V, typename Pointer>
QUERN_INLINE void tile_product(const TileProduct<Pointer>& p, int64_t n_rows, int64_t n_vectors) {
    constexpr int64_t most_rows = 6;
    const int64_t n_blocks = (n_rows + most_rows - 1) / most_rows;
    // Few rows leave registers for more columns, and need them: fewer than 8 chains of additions leave the adders idle.
    const int64_t wide = V::n_registers >= 32 || n_rows <= 2 ? 4 : 2;
    for (int64_t v = 0; v < n_vectors;) {
        const int64_t left = n_vectors - v, vectors = left < wide ? left : wide;
        for (int64_t block = 0; block < n_blocks; ++block) {
            const int64_t row = block * n_rows / n_blocks;  // blocks as equal as they can be
            const int n = static_cast<int>((block + 1) * n_rows / n_blocks - row);
            switch (vectors) {
                case 1:
                    product_rows<V, 1>(p, row, n, v * V::width);
                    break;
                case 2:
                    product_rows<V, 2>(p, row, n, v * V::width);
                    break;
                case 3:
                    product_rows<V, 3>(p, row, n, v * V::width);
                    break;
                default:
                    product_rows<V, 4>(p, row, n, v * V::width);
                    break;
            }
        }
        v += vectors;
    }
}

}  // namespace quern
