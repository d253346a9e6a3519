// The 6-bit scales of the K formats, as packed in 12 bytes.
// Source: the GGUF specification's K-quant blocks.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"

namespace quern {

/// Q4_K and Q5_K: 8 scales, then 8 minimums, each 0..63, one byte each in the words of `out`.
/// Bytes 0..3 and 4..7 hold 6 bits of scales and minimums 0..3; bytes 8..11 hold the low four bits of scale (low half) and minimum
/// (high half) 4..7, whose upper two bits are on top of bytes 0..3 and 4..7.
QUERN_INLINE void unpack_scales_and_mins(const uint8_t* packed, uint32_t out[4]) {
    uint32_t a, b, c;
    std::memcpy(&a, packed, 4);
    std::memcpy(&b, packed + 4, 4);
    std::memcpy(&c, packed + 8, 4);
    out[0] = a & 0x3f3f3f3fu;
    out[1] = (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u);
    out[2] = b & 0x3f3f3f3fu;
    out[3] = (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u);
}

/// The same with vectors: reads 16 bytes, of which the last 4 do not matter.
template <typename V>
QUERN_INLINE typename V::Sixteen unpack_scales_and_mins(const uint8_t* packed) {
    constexpr uint32_t low[4] = {0x3f3f3f3fu, 0x0f0f0f0fu, 0x3f3f3f3fu, 0x0f0f0f0fu};
    const auto all = V::load_16(packed);
    const auto lower = V::both(V::template lower_ints<0, 0, 0, 4>(V::template ints<0, 2, 1, 2>(all)), V::make_16(low));
    const auto upper = V::template field_16<0>(V::template lower_ints<32, 2, 32, 2>(V::template ints<0, 0, 1, 1>(all)), 0x30);
    return V::either(lower, upper);
}

/// Q3_K: 16 scales, each 0..63 (the scale is 32 less), one byte each in the words of `out`.
/// The low halves of bytes 0..7 hold the low four bits of scales 0..7, the high halves those of 8..15; bit pair j of byte 8 + i is on top
/// of scale 4 j + i.
QUERN_INLINE void unpack_scales_16(const uint8_t* packed, uint32_t out[4]) {
    uint32_t a, b, c;
    std::memcpy(&a, packed, 4);
    std::memcpy(&b, packed + 4, 4);
    std::memcpy(&c, packed + 8, 4);
    out[0] = (a & 0x0f0f0f0fu) | (c << 4 & 0x30303030u);
    out[1] = (b & 0x0f0f0f0fu) | (c << 2 & 0x30303030u);
    out[2] = (a >> 4 & 0x0f0f0f0fu) | (c & 0x30303030u);
    out[3] = (b >> 4 & 0x0f0f0f0fu) | (c >> 2 & 0x30303030u);
}

}  // namespace quern
