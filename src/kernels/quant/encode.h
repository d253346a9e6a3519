// Rows of f32 into quantized blocks. The same bytes on every machine, instruction set and thread count.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"
#include "tensor/dtype.h"

namespace quern {

/// x[0..n) into n values' blocks at `out`. REQUIRES: n is a multiple of the format's block; every x is finite.
/// @param importance  n weights >= 0 of the squared errors (an importance matrix's row), or nullptr: all alike, or what the format prefers
using EncodeKernel = void (*)(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;

/// nullptr for formats that quern cannot encode. REQUIRES: this machine can run `isa`.
EncodeKernel encode_for(DType dtype, Isa isa) noexcept;

}  // namespace quern
