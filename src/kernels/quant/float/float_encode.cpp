#include <cstring>

#include "kernels/quant/float/encoders.h"
#include "kernels/quant/group_tile.h"

namespace quern {

void encode_f16(const float* x, const float*, int64_t n, std::byte* out) noexcept {
    auto* to = reinterpret_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; ++i) to[i] = nearest_f16(x[i]);
}

void encode_bf16(const float* x, const float*, int64_t n, std::byte* out) noexcept {
    auto* to = reinterpret_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; ++i) {
        uint32_t bits;
        std::memcpy(&bits, x + i, sizeof bits);
        to[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

}  // namespace quern
