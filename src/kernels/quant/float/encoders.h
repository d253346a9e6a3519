// The encoders of the float formats: EncodeKernels (kernels/quant/encode.h). Importances do not matter to them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {

/// To the nearest, ties to even; what is beyond the largest f16 becomes that.
void encode_f16(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
/// To the nearest, ties to even.
void encode_bf16(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;

}  // namespace quern
