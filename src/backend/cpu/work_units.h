// How the rows of a weight matrix are cut into units of work for threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/matmul/matmul.h"

namespace quern {

// Weight bytes in one unit of work that reads them once: large enough to stream, small enough that threads finish together.
inline constexpr int64_t bytes_per_unit = 64 * 1024;
// Rows in one unit of work that computes: what a batch's activations are read for from the outer caches.
inline constexpr int64_t rows_per_batch_unit = 128;
// Units that each thread should get at least, so that all finish together.
inline constexpr int64_t units_per_thread = 4, streamed_units_per_thread = 6;

/// Rows of one unit of a matrix of n_rows rows of row_bytes each: a multiple of what the kernel multiplies at once, however long they are,
/// and of a head, where those must stay whole; of the head alone if both together are too many.
inline int64_t rows_per_unit(int64_t n_rows, int64_t row_bytes, const MatmulChoice& choice, int64_t head_rows, int64_t n_threads) {
    const int64_t most = choice.waits_for_memory ? bytes_per_unit / row_bytes : rows_per_batch_unit;
    const int64_t units_each = choice.waits_for_memory ? streamed_units_per_thread : units_per_thread;
    const int64_t rows = std::min(most, n_rows / (units_each * n_threads));
    const int64_t both = std::lcm(choice.row_multiple, head_rows);
    const int64_t granularity = both > std::max({rows, 2 * head_rows, choice.row_multiple}) ? head_rows : both;
    return std::max(granularity, rows / granularity * granularity);
}

}  // namespace quern
