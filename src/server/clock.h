// The time as clients are told it.
#pragma once

#include <cstdint>
#include <ctime>

namespace quern {

/// Seconds since 1970.
inline int64_t seconds_now() { return std::time(nullptr); }

}  // namespace quern
