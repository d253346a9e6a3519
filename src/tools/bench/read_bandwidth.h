// How fast this machine's threads read memory: the ceiling of generating one token at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"

namespace quern {

/// Bytes per second that `n_threads` threads together read from a buffer that no cache holds, with loads as wide as `isa` has them.
/// The best of several passes. Cost: half a gigabyte of memory and about half a second.
/// @throws DeviceError  when the memory cannot be had
double measure_read_bandwidth(int n_threads, Isa isa);

/// The sum of `n_bytes` read as 64-bit numbers. REQUIRES: 64-byte alignment, n_bytes a multiple of 1024.
/// The sum serves only to keep the loads alive. These are the loops that are timed.
uint64_t read_all(const std::byte* bytes, size_t n_bytes);
uint64_t read_all_avx2(const std::byte* bytes, size_t n_bytes);
uint64_t read_all_avx512(const std::byte* bytes, size_t n_bytes);

}  // namespace quern
