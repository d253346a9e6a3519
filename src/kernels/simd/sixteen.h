// Sixteen floats at a time on every instruction set, with one order of summation: V is the Exact of one of them (exact_scalar.h).
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/inline.h"

// Templates on the instruction set are one function for each, so that they may stand out of line; they are inlined for speed alone. With
// sanitizers that would take minutes to compile.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
#define QUERN_LANES_INLINE QUERN_INLINE
#else
#define QUERN_LANES_INLINE inline
#endif

namespace quern {

template <typename V>
struct Sixteen {
    using Float = typename V::Float;
    static constexpr int n = 16 / V::width;
    struct Mask {
        typename V::Mask at[n];
    };
    struct Codes {
        typename V::Codes at[n];
    };
    Float at[n];

    /// Each part by `make`, which gets its number.
    template <typename Make>
    QUERN_LANES_INLINE static Sixteen each(Make&& make) {
        Sixteen out;
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) out.at[i] = make(i);
        return out;
    }

    QUERN_LANES_INLINE static Sixteen splat(float x) {
        return each([&](int) { return Float::splat(x); });
    }
    QUERN_LANES_INLINE static Sixteen load(const float* p) {
        return each([&](int i) { return Float::load(p + i * V::width); });
    }
    QUERN_LANES_INLINE void store(float* p) const {
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) at[i].store(p + i * V::width);
    }
    /// REQUIRES: integers from 0 to 255.
    QUERN_LANES_INLINE void store_bytes(uint8_t* p) const {
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) V::store_bytes(p + i * V::width, at[i]);
    }

    QUERN_LANES_INLINE friend Sixteen operator+(const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return a.at[i] + b.at[i]; });
    }
    QUERN_LANES_INLINE friend Sixteen operator-(const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return a.at[i] - b.at[i]; });
    }
    QUERN_LANES_INLINE friend Sixteen operator*(const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return a.at[i] * b.at[i]; });
    }
    QUERN_LANES_INLINE friend Sixteen operator/(const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return a.at[i] / b.at[i]; });
    }
    QUERN_LANES_INLINE friend Sixteen max(const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return max(a.at[i], b.at[i]); });
    }
    QUERN_LANES_INLINE friend Sixteen min(const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return min(a.at[i], b.at[i]); });
    }
    /// REQUIRES: |v| < 2^22.
    QUERN_LANES_INLINE friend Sixteen round(const Sixteen& v) {
        return each([&](int i) { return round(v.at[i]); });
    }
    QUERN_LANES_INLINE friend Sixteen magnitude(const Sixteen& v) {
        return each([&](int i) { return V::magnitude(v.at[i]); });
    }
    /// v, or an end of low .. high; low where v is NaN.
    QUERN_LANES_INLINE friend Sixteen within(const Sixteen& v, const Sixteen& low, const Sixteen& high) { return min(max(v, low), high); }

    QUERN_LANES_INLINE friend Mask less(const Sixteen& a, const Sixteen& b) {
        Mask out;
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) out.at[i] = V::less(a.at[i], b.at[i]);
        return out;
    }
    QUERN_LANES_INLINE friend Sixteen choose(const Mask& mask, const Sixteen& a, const Sixteen& b) {
        return each([&](int i) { return V::choose(mask.at[i], a.at[i], b.at[i]); });
    }
    QUERN_LANES_INLINE static uint32_t bits(const Mask& mask) {
        uint32_t out = 0;
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) out |= V::bits(mask.at[i]) << i * V::width;
        return out;
    }

    /// Sum of the lanes, in halves: the same bits for every width.
    QUERN_LANES_INLINE friend float total(const Sixteen& v) {
        if constexpr (n == 1) return total(v.at[0]);
        if constexpr (n == 2) return total(v.at[0] + v.at[1]);
        if constexpr (n == 4) return total((v.at[0] + v.at[2]) + (v.at[1] + v.at[3]));
    }
    QUERN_LANES_INLINE friend float largest(const Sixteen& v) {
        Float out = v.at[0];
#pragma GCC unroll 4
        for (int i = 1; i < n; ++i) out = max(out, v.at[i]);
        return largest(out);
    }
    QUERN_LANES_INLINE friend float least(const Sixteen& v) {
        Float out = v.at[0];
#pragma GCC unroll 4
        for (int i = 1; i < n; ++i) out = min(out, v.at[i]);
        return V::least(out);
    }

    /// Lane i of a, b, c and d stand at out + place(i). out has 64.
    QUERN_LANES_INLINE static void store_fours(float* out, const Sixteen& a, const Sixteen& b, const Sixteen& c, const Sixteen& d) {
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) V::store_fours(out + i * 4 * V::width, a.at[i], b.at[i], c.at[i], d.at[i]);
    }
    static constexpr int place(int lane) { return lane / V::width * 4 * V::width + V::place(lane % V::width); }
    /// Eight floats from each.
    QUERN_LANES_INLINE static Sixteen load_halves(const float* low, const float* high) {
        if constexpr (n == 1)
            return {{V::load_halves(low, high)}};
        else
            return each([&](int i) { return Float::load((i < n / 2 ? low : high) + i % (n / 2) * V::width); });
    }
    /// Eight of each.
    QUERN_LANES_INLINE static Sixteen splat_halves(float low, float high) {
        if constexpr (n == 1)
            return {{V::splat_halves(low, high)}};
        else
            return each([&](int i) { return Float::splat(i < n / 2 ? low : high); });
    }
    /// The first lane that has the least.
    QUERN_LANES_INLINE friend int place_of_least(const Sixteen& v) { return std::countr_one(bits(less(splat(least(v)), v))) % 16; }

    QUERN_LANES_INLINE static Codes load_codes(const uint16_t* p) {
        Codes out;
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) out.at[i] = V::load_codes(p + i * V::width);
        return out;
    }
    template <int shift>
    QUERN_LANES_INLINE static Sixteen look_up_4(const float* table, const Codes& codes) {
        return each([&](int i) { return V::template look_up_4<shift>(table, codes.at[i]); });
    }
    template <int shift>
    QUERN_LANES_INLINE static Sixteen look_up_8(const float* table, const Codes& codes) {
        return each([&](int i) { return V::template look_up_8<shift>(table, codes.at[i]); });
    }
    QUERN_LANES_INLINE static Codes search_16(const float* tree, const Sixteen& v) {
        Codes out;
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) out.at[i] = V::search_16(tree, v.at[i]);
        return out;
    }
    QUERN_LANES_INLINE static Sixteen look_up_16(const float* table, const Codes& codes) {
        return each([&](int i) { return V::look_up_16(table, codes.at[i]); });
    }
    QUERN_LANES_INLINE static void store_code_bytes(uint8_t* p, const Codes& codes) {
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i) V::store_code_bytes(p + i * V::width, codes.at[i]);
    }

    /// at[i].lane[j] of the 16 becomes at[j].lane[i].
    QUERN_LANES_INLINE static void transpose(Sixteen (&rows)[16]) {
        constexpr int w = V::width;
        if constexpr (n == 1) {
            Float all[w];
            for (int i = 0; i < w; ++i) all[i] = rows[i].at[0];
            Float::transpose(all);
            for (int i = 0; i < w; ++i) rows[i].at[0] = all[i];
        } else {
            for (int a = 0; a < n; ++a)
                for (int b = a; b < n; ++b) {
                    Float first[w], second[w];
                    for (int i = 0; i < w; ++i) first[i] = rows[a * w + i].at[b];
                    for (int i = 0; i < w; ++i) second[i] = rows[b * w + i].at[a];
                    Float::transpose(first);
                    Float::transpose(second);
                    for (int i = 0; i < w; ++i) rows[b * w + i].at[a] = first[i];
                    for (int i = 0; i < w; ++i) rows[a * w + i].at[b] = second[i];
                }
        }
    }
};

}  // namespace quern
