// The encoders of the IQ, ternary and MXFP4 formats: EncodeKernels (kernels/quant/encode.h). All make the weighted squared error small;
// without importances large values weigh more (fit.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {

void encode_iq4_nl(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq4_xs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_mxfp4(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_tq1_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_tq2_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq3_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq3_xxs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq2_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq2_xs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq2_xxs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq1_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;
void encode_iq1_m(const float* x, const float* importance, int64_t n, std::byte* out) noexcept;

}  // namespace quern
