// Which bytes of the weights are fetched while those before them are multiplied.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.h"

namespace quern {

// How far ahead of the products memory is fetched. The processor's own prefetcher stops at each 4 KiB page; these do not. Rows that are
// multiplied one by one are read evenly, and the next page is far enough. In lanes, sixteen rows' sums are added up at a time, during which
// nothing is fetched: more must be on its way then. Those two are the best of what was measured on Zen 5, for Q8_0 and for K formats.
inline constexpr int64_t bytes_ahead_of_row = 4096, bytes_ahead_of_row_lanes = 8192, bytes_ahead_of_k_lanes = 16384;

/// Some bytes of each row.
struct RowStretch {
    int64_t begin, end;
};

/// Of the first of n_rows rows of row_bytes, one after another, that are multiplied a stretch at a time: where that lies which is read
/// soon; of each further row it lies row_bytes further. While whole rows are read it lies `ahead` bytes ahead; else it is the next stretch
/// of these rows, or the first one of the next rows.
template <int n_rows>
QUERN_INLINE const std::byte* bytes_read_soon(const std::byte* rows, int64_t row_bytes, RowStretch stretch, int64_t ahead) {
    if (stretch.end < row_bytes) return rows + stretch.end;
    return rows + (stretch.begin == 0 ? ahead : n_rows * row_bytes);
}

}  // namespace quern
