// Writes a head of keys or values into the cache in blocks of 32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention/kv_type.h"

namespace quern {

/// x[0, n) as q8_0 or q4_0: the scale that the largest value asks for, every other value to the nearest level. The same bytes on every
/// machine; values that are no numbers become the lowest level. REQUIRES: type is one of the two, n a multiple of 32.
void store_kv_blocks(KvType type, const float* x, std::byte* out, int64_t n) noexcept;

}  // namespace quern
