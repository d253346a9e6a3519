// The timed loop, for vectors of any width: eight independent sums, so that only memory can hold it up.
// Include it in one file per instruction set; everything here is local to that file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {
namespace {

/// VECTOR: a GCC vector of uint64_t. REQUIRES: n_bytes a multiple of 1024.
template <typename VECTOR>
uint64_t sum_vectors(const std::byte* bytes, size_t n_bytes) {
    constexpr size_t n_sums = 8, line_bytes = 64, block_bytes = 512;
    constexpr size_t prefetch_bytes = 4096;  // measured: the least that hides a miss; farther ahead changes nothing
    VECTOR sums[n_sums] = {};
    for (const std::byte* const end = bytes + n_bytes; bytes != end; bytes += block_bytes) {
        for (size_t line = 0; line < block_bytes; line += line_bytes) __builtin_prefetch(bytes + line + prefetch_bytes);
        const auto* const vectors = reinterpret_cast<const VECTOR*>(bytes);
        for (size_t i = 0; i < block_bytes / sizeof(VECTOR); ++i) sums[i % n_sums] += vectors[i];
    }
    uint64_t total = 0;
    for (const VECTOR& sum : sums)
        for (size_t i = 0; i < sizeof(VECTOR) / sizeof(uint64_t); ++i) total += sum[i];
    return total;
}

}  // namespace
}  // namespace quern
