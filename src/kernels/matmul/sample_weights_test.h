// Weight blocks for tests: random quants with scales of a sensible size, or all at the end of their range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/dtype.h"

namespace quern {

/// Where the f16 scales of a block are, in bytes.
inline std::vector<size_t> scale_places(DType dtype) {
    switch (dtype) {
        case DType::q4_1:
        case DType::q5_1:
        case DType::q4_k:
        case DType::q5_k:
            return {0, 2};
        case DType::q2_k:
            return {80, 82};
        case DType::q3_k:
            return {108};
        case DType::q6_k:
            return {208};
        case DType::tq1_0:
            return {52};
        case DType::tq2_0:
            return {64};
        case DType::iq1_m:
        case DType::mxfp4:
            return {};
        default:
            return {0};
    }
}

/// Puts an f16 scale into a block: at its places, spread over four of IQ1_M's numbers, or as the nearest power of two.
inline void put_scale(DType dtype, std::byte* block, uint16_t f16) {
    for (const size_t place : scale_places(dtype)) std::memcpy(block + place, &f16, sizeof f16);
    if (dtype == DType::mxfp4) block[0] = static_cast<std::byte>(127 - 15 + (f16 >> 10 & 31));
    for (size_t i = 0; dtype == DType::iq1_m && i < 4; ++i) {
        std::byte& high = block[49 + 2 * i];
        high = (high & std::byte{15}) | static_cast<std::byte>(f16 >> 4 * i << 4 & 0xf0);
    }
}

/// Random blocks for n values.
inline std::vector<std::byte> sample_weights(DType dtype, int64_t n, std::mt19937& random) {
    const DTypeInfo& info = dtype_info(dtype);
    std::vector<std::byte> out(static_cast<size_t>(row_bytes(dtype, static_cast<uint64_t>(n))));
    std::normal_distribution<float> normal(0.0f, 1.0f);
    if (info.block_size == 1) {
        for (size_t at = 0; at < out.size(); at += info.block_bytes) {
            const float value = normal(random);
            uint32_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            const auto bf16 = static_cast<uint16_t>(bits >> 16);
            const auto f16 = static_cast<uint16_t>((random() & 0x83ffu) | (11u + random() % 6u) << 10);
            std::memcpy(&out[at],
                        dtype == DType::f32   ? static_cast<const void*>(&value)
                        : dtype == DType::f16 ? &f16
                                              : &bf16,
                        info.block_bytes);
        }
        return out;
    }
    for (std::byte& byte : out) byte = static_cast<std::byte>(random());
    for (size_t at = 0; at < out.size(); at += info.block_bytes)
        for (size_t i = 0; i < std::max<size_t>(scale_places(dtype).size(), 1); ++i) {
            const auto f16 = static_cast<uint16_t>((random() & 0x83ffu) | (6u + random() % 6u) << 10);  // 2^-9 .. 2^-4, either sign
            if (scale_places(dtype).empty())
                put_scale(dtype, &out[at], f16);
            else
                std::memcpy(&out[at + scale_places(dtype)[i]], &f16, sizeof f16);
        }
    return out;
}

/// A stretch of a block's bytes.
struct BytePlaces {
    size_t first = 0, n = 0;
};

/// Where the scales of a block's groups are, if they lie apart from the quants.
inline BytePlaces group_scale_places(DType dtype) {
    switch (dtype) {
        case DType::q2_k:
            return {0, 16};
        case DType::q3_k:
            return {96, 12};
        case DType::q4_k:
        case DType::q5_k:
            return {4, 12};
        case DType::q6_k:
            return {192, 16};
        case DType::iq4_xs:
            return {2, 6};
        case DType::iq3_s:
            return {106, 4};
        case DType::iq2_s:
            return {74, 8};
        case DType::iq2_xs:
            return {66, 8};
        default:
            return {};
    }
}

/// Which end of its range every quant is at.
enum class Extreme : uint8_t { lowest, highest };

/// All quants at one end of their range: bits clear or set, except where they are signed. The scales of groups have their largest
/// magnitude, which is the negative one where they are signed (Q6_K) or biased (Q3_K, IQ4_XS); all f16 scales are 1.
inline void fill_extreme(DType dtype, Extreme extreme, std::vector<std::byte>& blocks) {
    const DTypeInfo& info = dtype_info(dtype);
    const uint16_t one = 0x3c00;
    const bool lowest = extreme == Extreme::lowest;
    const int quants = dtype == DType::q8_0 ? lowest ? 0x80 : 0x7f : dtype == DType::mxfp4 ? lowest ? 0xff : 0x77 : (lowest ? 0 : 0xff);
    const int scales = dtype == DType::q6_k ? 0x80 : dtype == DType::q3_k || dtype == DType::iq4_xs ? 0 : 0xff;
    const BytePlaces places = group_scale_places(dtype);
    for (size_t at = 0; at < blocks.size(); at += info.block_bytes) {
        std::memset(&blocks[at], quants, info.block_bytes);
        std::memset(&blocks[at] + places.first, scales, places.n);
        put_scale(dtype, &blocks[at], one);
    }
}

}  // namespace quern
