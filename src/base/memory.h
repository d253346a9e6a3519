// How much memory this process may still take.
#pragma once

#include <cstdint>

namespace quern {

/// From now on most of what is freed goes back to the system at once, and little of it stays with threads that do not use it. Call first.
void keep_little_freed_memory() noexcept;

/// The least of what the system has available and what the cgroup leaves. Cached file pages count as available.
uint64_t available_memory_bytes();

/// Gives back to the system what was freed but is still kept for later allocations. Takes milliseconds: for the end of something large.
void return_freed_memory() noexcept;

}  // namespace quern
