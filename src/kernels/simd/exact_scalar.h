// What encoders need beside the vectors of floats (float_scalar.h), in plain C++, and what each word means. exact_avx2.h and exact_avx512.h
// offer the same names. Only operations that every machine rounds alike: encoders promise the same bytes.
#pragma once

#include "kernels/simd/float_scalar.h"

namespace quern::scalar {

struct Exact {
    using Float = scalar::Float;
    static constexpr int width = Float::width;
    struct Mask {
        Float::Ints lanes;
    };
    struct Codes {
        uint32_t lanes[width];
    };

    /// a < b; not so where one is NaN.
    QUERN_INLINE static Mask less(Float a, Float b) { return {a.lanes < b.lanes}; }
    /// a where the mask is set, else b.
    QUERN_INLINE static Float choose(Mask mask, Float a, Float b) { return {mask.lanes ? a.lanes : b.lanes}; }
    QUERN_INLINE static Float magnitude(Float v) {
        Float::Ints bits;
        std::memcpy(&bits, &v.lanes, sizeof bits);
        bits &= 0x7fffffff;
        std::memcpy(&v.lanes, &bits, sizeof bits);
        return v;
    }
    /// Bit i is lane i.
    QUERN_INLINE static uint32_t bits(Mask mask) {
        uint32_t out = 0;
        for (int i = 0; i < width; ++i) out |= (static_cast<uint32_t>(mask.lanes[i]) & 1u) << i;
        return out;
    }
    /// As bytes. REQUIRES: integers from 0 to 255.
    QUERN_INLINE static void store_bytes(uint8_t* p, Float v) {
        for (int i = 0; i < width; ++i) p[i] = static_cast<uint8_t>(v.lanes[i]);
    }
    QUERN_INLINE static float least(Float v) {
        float out = v.lanes[0];
        for (int i = 1; i < width; ++i) out = v.lanes[i] < out ? v.lanes[i] : out;
        return out;
    }

    /// Four vectors side by side: lane i of a, b, c and d stand at out + place(i).
    QUERN_INLINE static void store_fours(float* out, Float a, Float b, Float c, Float d) {
        Float rows[width] = {a, b, c, d};
        Float::transpose(rows);
        for (int i = 0; i < width; ++i) rows[i].store(out + 4 * i);
    }
    static constexpr int place(int lane) { return 4 * lane; }

    QUERN_INLINE static Codes load_codes(const uint16_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
    /// Lane i is table[codes[i] >> shift & 3].
    template <int shift>
    QUERN_INLINE static Float look_up_4(const float* table, Codes codes) {
        Float out;
        for (int i = 0; i < width; ++i) out.lanes[i] = table[codes.lanes[i] >> shift & 3];
        return out;
    }
    /// Lane i is table[codes[i] >> shift & 7].
    template <int shift>
    QUERN_INLINE static Float look_up_8(const float* table, Codes codes) {
        Float out;
        for (int i = 0; i < width; ++i) out.lanes[i] = table[codes.lanes[i] >> shift & 7];
        return out;
    }
    /// How many of 15 ascending thresholds are below the value. The thresholds stand as in a search tree: the middle one, the two of the
    /// quarters, and so on.
    QUERN_INLINE static Codes search_16(const float* tree, Float v) {
        Codes out;
        for (int i = 0; i < width; ++i) {
            uint32_t at = 0;
            for (uint32_t level = 1; level < 16; level *= 2) at = 2 * at + (tree[level - 1 + at] < v.lanes[i]);
            out.lanes[i] = at;
        }
        return out;
    }
    /// Lane i is table[codes[i]]. REQUIRES: codes below 16.
    QUERN_INLINE static Float look_up_16(const float* table, Codes codes) {
        Float out;
        for (int i = 0; i < width; ++i) out.lanes[i] = table[codes.lanes[i]];
        return out;
    }
    QUERN_INLINE static void store_code_bytes(uint8_t* p, Codes codes) {
        for (int i = 0; i < width; ++i) p[i] = static_cast<uint8_t>(codes.lanes[i]);
    }
};

}  // namespace quern::scalar
