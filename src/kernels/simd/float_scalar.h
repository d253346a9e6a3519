// Vectors of floats in plain C++, four at a time, and what each word means. float_avx2.h and float_avx512.h offer the same names;
// the kernels of attention, rope, norm and activation take one of the three as their parameter V.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"
#include "kernels/quant/float/f16.h"

namespace quern::scalar {

/// Round to nearest even; too large becomes infinity; NaN stays NaN.
QUERN_INLINE uint16_t f32_to_f16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 2^16 and above
    if (magnitude < 0x38800000u) {                                               // below 2^-14: subnormal, in units of 2^-24
        float small;
        std::memcpy(&small, &magnitude, sizeof small);
        small += 0.5f;  // here a float's last place is 2^-24, and the addition rounds to even
        std::memcpy(&bits, &small, sizeof bits);
        return static_cast<uint16_t>(sign | (bits - 0x3f000000u));
    }
    const uint32_t odd = magnitude >> 13 & 1u;
    return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));  // may carry into infinity
}

struct Float {
    static constexpr int width = 4;
    static constexpr int n_registers = 16;  ///< how many a product tile may fill
    using Lanes = float __attribute__((vector_size(16)));
    using Ints = int32_t __attribute__((vector_size(16)));
    Lanes lanes;

    QUERN_INLINE static Float splat(float x) { return {Lanes{x, x, x, x}}; }
    QUERN_INLINE static Float load(const float* p) {
        Float out;
        std::memcpy(&out.lanes, p, sizeof out.lanes);
        return out;
    }
    /// The first n lanes from p, 0 <= n <= width; the others are 0 and not read.
    QUERN_INLINE static Float load_first(const float* p, int n) {
        Float out = splat(0.0f);
        for (int i = 0; i < width; ++i)
            if (i < n) out.lanes[i] = p[i];
        return out;
    }
    QUERN_INLINE static Float load_f16(const uint16_t* p) {
        return {Lanes{f16_to_f32(p[0]), f16_to_f32(p[1]), f16_to_f32(p[2]), f16_to_f32(p[3])}};
    }
    QUERN_INLINE static Float load_f16_first(const uint16_t* p, int n) {
        Float out = splat(0.0f);
        for (int i = 0; i < width; ++i)
            if (i < n) out.lanes[i] = f16_to_f32(p[i]);
        return out;
    }
    /// width signed bytes.
    QUERN_INLINE static Float load_bytes(const int8_t* p) {
        return {Lanes{static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]), static_cast<float>(p[3])}};
    }
    /// Four bits each of width bytes, from bit `shift` on, less 8.
    QUERN_INLINE static Float load_nibbles(const uint8_t* p, int shift) {
        Float out;
        for (int i = 0; i < width; ++i) out.lanes[i] = static_cast<float>((p[i] >> shift & 15) - 8);
        return out;
    }
    QUERN_INLINE static Float splat_f16(uint16_t bits) { return splat(f16_to_f32(bits)); }
    QUERN_INLINE void store(float* p) const { std::memcpy(p, &lanes, sizeof lanes); }
    QUERN_INLINE void store_first(float* p, int n) const {
        for (int i = 0; i < width; ++i)
            if (i < n) p[i] = lanes[i];
    }
    QUERN_INLINE void store_f16(uint16_t* p) const { store_f16_first(p, width); }
    QUERN_INLINE void store_f16_first(uint16_t* p, int n) const {
        for (int i = 0; i < width; ++i)
            if (i < n) p[i] = f32_to_f16(lanes[i]);
    }
    /// 2 width floats from p: even[i] = p[2 i], odd[i] = p[2 i + 1].
    QUERN_INLINE static void load_pairs(const float* p, Float& even, Float& odd) {
        even = {Lanes{p[0], p[2], p[4], p[6]}};
        odd = {Lanes{p[1], p[3], p[5], p[7]}};
    }
    QUERN_INLINE static void store_pairs(float* p, Float even, Float odd) {
        for (int i = 0; i < width; ++i) p[2 * i] = even.lanes[i], p[2 * i + 1] = odd.lanes[i];
    }

    QUERN_INLINE friend Float operator+(Float a, Float b) { return {a.lanes + b.lanes}; }
    QUERN_INLINE friend Float operator-(Float a, Float b) { return {a.lanes - b.lanes}; }
    QUERN_INLINE friend Float operator*(Float a, Float b) { return {a.lanes * b.lanes}; }
    QUERN_INLINE friend Float operator/(Float a, Float b) { return {a.lanes / b.lanes}; }
    /// a * b + c
    QUERN_INLINE friend Float fma(Float a, Float b, Float c) { return {a.lanes * b.lanes + c.lanes}; }
    /// Where one is NaN, b.
    QUERN_INLINE friend Float max(Float a, Float b) { return {a.lanes > b.lanes ? a.lanes : b.lanes}; }
    /// Where one is NaN, b.
    QUERN_INLINE friend Float min(Float a, Float b) { return {a.lanes < b.lanes ? a.lanes : b.lanes}; }
    /// v, but 0 where x < limit.
    QUERN_INLINE friend Float zero_below(Float v, Float x, Float limit) { return {x.lanes < limit.lanes ? splat(0.0f).lanes : v.lanes}; }
    /// v, but `other` from lane n on. Any n.
    QUERN_INLINE friend Float keep_first(Float v, int n, Float other) {
        return {(Ints{0, 1, 2, 3} < Ints{n, n, n, n}) ? v.lanes : other.lanes};
    }
    /// To the nearest integer. REQUIRES: |v| < 2^22.
    QUERN_INLINE friend Float round(Float v) {
        const Float magic = splat(0x1.8p23f);  // here a float's last place is 1
        return {(v.lanes + magic.lanes) - magic.lanes};
    }
    /// v * 2^n. REQUIRES: n is an integer in -126..127; other n give an unspecified power.
    QUERN_INLINE friend Float times_two_to(Float v, Float n) {
        const Lanes shifted = n.lanes + splat(0x1.8p23f).lanes;
        Ints bits;
        std::memcpy(&bits, &shifted, sizeof bits);
        bits = (bits + 127) << 23;  // the low bits of `shifted` are n; the rest leaves at the top
        Lanes power;
        std::memcpy(&power, &bits, sizeof power);
        return {v.lanes * power};
    }
    /// Sum of the lanes.
    QUERN_INLINE friend float total(Float v) { return (v.lanes[0] + v.lanes[2]) + (v.lanes[1] + v.lanes[3]); }
    QUERN_INLINE friend float largest(Float v) {
        float most = v.lanes[0];
        for (int i = 1; i < width; ++i) most = v.lanes[i] > most ? v.lanes[i] : most;
        return most;
    }
    /// Lane i of the result is total(rows[i]).
    QUERN_INLINE static Float totals(const Float (&rows)[width]) {
        return {Lanes{total(rows[0]), total(rows[1]), total(rows[2]), total(rows[3])}};
    }
    QUERN_INLINE friend float first(Float v) { return v.lanes[0]; }
    /// rows[i].lane[j] becomes rows[j].lane[i].
    QUERN_INLINE static void transpose(Float (&rows)[width]) {
        Float out[width];
        for (int i = 0; i < width; ++i) out[i].lanes = Lanes{rows[0].lanes[i], rows[1].lanes[i], rows[2].lanes[i], rows[3].lanes[i]};
        for (int i = 0; i < width; ++i) rows[i] = out[i];
    }
};

}  // namespace quern::scalar
