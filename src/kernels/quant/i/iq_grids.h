// The code books of the IQ formats: constants of the formats, made by scripts/make_iq_tables.py.
#pragma once

#include <cstdint>

namespace quern {

/// 8 magnitudes of 8, 25 or 43, one in each byte, the first lowest.
extern const uint64_t iq2_xxs_grid[256];
extern const uint64_t iq2_xs_grid[512];
extern const uint64_t iq2_s_grid[1024];
/// 4 magnitudes of 4 .. 62, one in each byte.
extern const uint32_t iq3_xxs_grid[256];
/// 4 odd magnitudes of 1 .. 15, one in each byte.
extern const uint32_t iq3_s_grid[512];
/// 8 values t of -1, 0 or 1 as 8 (t + 1), one in each byte.
extern const uint64_t iq1_grid[2048];

}  // namespace quern
