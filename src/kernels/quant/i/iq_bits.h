// Bit fields of the IQ formats as bytes, and 8 values of their code books with signs.
// Source: the block layouts of the GGUF specification's published Python package.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"

namespace quern {

QUERN_INLINE uint32_t read_u32(const void* p) {
    uint32_t out;
    std::memcpy(&out, p, sizeof out);
    return out;
}

/// Byte i of the result is four bits, number i from below.
QUERN_INLINE uint64_t nibbles_to_bytes(uint32_t bits) {
    uint64_t out = bits;
    out = (out | out << 16) & 0x0000ffff0000ffffu;
    out = (out | out << 8) & 0x00ff00ff00ff00ffu;
    return (out | out << 4) & 0x0f0f0f0f0f0f0f0fu;
}

/// Byte i of the result is two bits, number i from below.
QUERN_INLINE uint64_t pairs_to_bytes(uint16_t bits) {
    uint64_t out = bits;
    out = (out | out << 24) & 0x000000ff000000ffu;
    out = (out | out << 12) & 0x000f000f000f000fu;
    return (out | out << 6) & 0x0303030303030303u;
}

/// 2 s + 1 for each byte s < 128.
QUERN_INLINE uint64_t odd_bytes(uint64_t bytes) { return bytes << 1 | 0x0101010101010101u; }

/// Four bytes of signs from their lower seven bits each, packed in 28: an even number of the eight is set.
QUERN_INLINE uint32_t even_signs(uint32_t packed) {
    const uint32_t sevens = (packed & 0x7f) | (packed << 1 & 0x7f00) | (packed << 2 & 0x7f0000) | (packed << 3 & 0x7f000000);
    uint32_t parity = sevens ^ (sevens >> 4 & 0x0f0f0f0fu);
    parity ^= parity >> 2 & 0x03030303u;
    parity ^= parity >> 1;
    return sevens | (parity & 0x01010101u) << 7;
}

/// The reverse: the lower seven bits of four bytes.
QUERN_INLINE uint32_t pack_sevens(const uint8_t* signs) {
    uint32_t out = 0;
    for (int i = 0; i < 4; ++i) out |= static_cast<uint32_t>(signs[i] & 0x7f) << 7 * i;
    return out;
}

/// Eight times scale * magnitude, negative where the bit of `signs` is set.
QUERN_INLINE void decode_signed_8(uint64_t magnitudes, uint32_t signs, float scale, float* out) {
    for (int i = 0; i < 8; ++i) {
        const float value = scale * static_cast<float>(magnitudes >> 8 * i & 0xff);
        out[i] = signs >> i & 1 ? -value : value;
    }
}

/// Two entries of a code book of 4 values as one of 8.
QUERN_INLINE uint64_t join(uint32_t first, uint32_t second) { return first | static_cast<uint64_t>(second) << 32; }

}  // namespace quern
