// How much memory this process may still take.
#pragma once

#include <cstdint>

namespace quern {

/// The least of what the system has available and what the cgroup leaves. Cached file pages count as available.
uint64_t available_memory_bytes();

}  // namespace quern
