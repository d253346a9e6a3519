// Vectors of 16 floats on AVX-512. float_scalar.h says what each word means.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/inline.h"

namespace quern::avx512 {

struct Float {
    static constexpr int width = 16;
    static constexpr int n_registers = 32;
    __m512 lanes;

    QUERN_INLINE static Float splat(float x) { return {_mm512_set1_ps(x)}; }
    QUERN_INLINE static Float load(const float* p) { return {_mm512_loadu_ps(p)}; }
    QUERN_INLINE static Float load_first(const float* p, int n) { return {_mm512_maskz_loadu_ps(lanes_below(n), p)}; }
    QUERN_INLINE static Float load_f16(const uint16_t* p) {
        return {_mm512_maskz_cvtph_ps(all, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
    }
    QUERN_INLINE static Float load_f16_first(const uint16_t* p, int n) {
        return {_mm512_maskz_cvtph_ps(all, _mm256_maskz_loadu_epi16(lanes_below(n), p))};
    }
    QUERN_INLINE static Float load_bytes(const int8_t* p) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return {_mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepi8_epi32(all, bytes))};
    }
    QUERN_INLINE static Float load_nibbles(const uint8_t* p, int shift) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m512i values = _mm512_maskz_srl_epi32(all, _mm512_maskz_cvtepu8_epi32(all, bytes), _mm_cvtsi32_si128(shift));
        const __m512i levels = _mm512_maskz_sub_epi32(all, _mm512_and_si512(values, _mm512_set1_epi32(15)), _mm512_set1_epi32(8));
        return {_mm512_maskz_cvtepi32_ps(all, levels)};
    }
    QUERN_INLINE static Float splat_f16(uint16_t bits) { return splat(_cvtsh_ss(bits)); }
    QUERN_INLINE void store(float* p) const { _mm512_storeu_ps(p, lanes); }
    QUERN_INLINE void store_first(float* p, int n) const { _mm512_mask_storeu_ps(p, lanes_below(n), lanes); }
    QUERN_INLINE void store_f16(uint16_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves()); }
    QUERN_INLINE void store_f16_first(uint16_t* p, int n) const { _mm256_mask_storeu_epi16(p, lanes_below(n), halves()); }
    QUERN_INLINE static void load_pairs(const float* p, Float& even, Float& odd) {
        const __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16);
        const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        even.lanes = _mm512_permutex2var_ps(a, evens, b);
        odd.lanes = _mm512_permutex2var_ps(a, _mm512_add_epi32(evens, _mm512_set1_epi32(1)), b);
    }
    QUERN_INLINE static void store_pairs(float* p, Float even, Float odd) {
        const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        _mm512_storeu_ps(p, _mm512_permutex2var_ps(even.lanes, low, odd.lanes));
        _mm512_storeu_ps(p + 16, _mm512_permutex2var_ps(even.lanes, _mm512_add_epi32(low, _mm512_set1_epi32(8)), odd.lanes));
    }

    QUERN_INLINE friend Float operator+(Float a, Float b) { return {_mm512_add_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float operator-(Float a, Float b) { return {_mm512_sub_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float operator*(Float a, Float b) { return {_mm512_mul_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float operator/(Float a, Float b) { return {_mm512_div_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float fma(Float a, Float b, Float c) { return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
    QUERN_INLINE friend Float max(Float a, Float b) { return {_mm512_maskz_max_ps(all, a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float min(Float a, Float b) { return {_mm512_maskz_min_ps(all, a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float zero_below(Float v, Float x, Float limit) {
        return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.lanes, limit.lanes, _CMP_NLT_UQ), v.lanes)};
    }
    QUERN_INLINE friend Float keep_first(Float v, int n, Float other) { return {_mm512_mask_mov_ps(other.lanes, lanes_below(n), v.lanes)}; }
    QUERN_INLINE friend Float round(Float v) {
        return {_mm512_maskz_roundscale_ps(all, v.lanes, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
    }
    QUERN_INLINE friend Float times_two_to(Float v, Float n) { return {_mm512_maskz_scalef_ps(all, v.lanes, n.lanes)}; }
    QUERN_INLINE friend float total(Float v) {
        const __m256 folded = _mm256_add_ps(v.half<0>(), v.half<1>());
        __m128 sum = _mm_add_ps(_mm256_castps256_ps128(folded), _mm256_extractf128_ps(folded, 1));
        sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
    }
    QUERN_INLINE friend float largest(Float v) {
        const __m256 folded = _mm256_max_ps(v.half<0>(), v.half<1>());
        __m128 most = _mm_max_ps(_mm256_castps256_ps128(folded), _mm256_extractf128_ps(folded, 1));
        most = _mm_max_ps(most, _mm_movehl_ps(most, most));
        return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
    }
    QUERN_INLINE static Float totals(const Float (&rows)[width]) {
        __m512 fours[4];  // of rows 4 i to 4 i + 3, each quarter of a row by itself
        for (int i = 0; i < 4; ++i) {
            const Float* four = rows + 4 * i;
            fours[i] = add_neighbours(add_neighbours(four[0].lanes, four[1].lanes), add_neighbours(four[2].lanes, four[3].lanes));
        }
        return {add_quarters(add_quarters(fours[0], fours[1]), add_quarters(fours[2], fours[3]))};
    }
    QUERN_INLINE friend float first(Float v) { return _mm512_cvtss_f32(v.lanes); }
    QUERN_INLINE static void transpose(Float (&rows)[width]) {
        __m512 pairs[16], quads[16], eights[16];
        for (int i = 0; i < 16; i += 2) {
            pairs[i] = _mm512_maskz_unpacklo_ps(all, rows[i].lanes, rows[i + 1].lanes);
            pairs[i + 1] = _mm512_maskz_unpackhi_ps(all, rows[i].lanes, rows[i + 1].lanes);
        }
        // quads[i + c], i a multiple of 4: column c of each 128-bit lane, of rows i..i+3.
        for (int i = 0; i < 16; i += 4)
            for (int j = 0; j < 2; ++j) {
                quads[i + 2 * j] = _mm512_maskz_shuffle_ps(all, pairs[i + j], pairs[i + j + 2], 0x44);
                quads[i + 2 * j + 1] = _mm512_maskz_shuffle_ps(all, pairs[i + j], pairs[i + j + 2], 0xee);
            }
        for (int i = 0; i < 16; i += 8)
            for (int c = 0; c < 4; ++c) {
                eights[i + c] = _mm512_maskz_shuffle_f32x4(all, quads[i + c], quads[i + c + 4], 0x88);
                eights[i + c + 4] = _mm512_maskz_shuffle_f32x4(all, quads[i + c], quads[i + c + 4], 0xdd);
            }
        for (int c = 0; c < 4; ++c) {
            rows[c].lanes = _mm512_maskz_shuffle_f32x4(all, eights[c], eights[c + 8], 0x88);
            rows[c + 8].lanes = _mm512_maskz_shuffle_f32x4(all, eights[c], eights[c + 8], 0xdd);
            rows[c + 4].lanes = _mm512_maskz_shuffle_f32x4(all, eights[c + 4], eights[c + 12], 0x88);
            rows[c + 12].lanes = _mm512_maskz_shuffle_f32x4(all, eights[c + 4], eights[c + 12], 0xdd);
        }
    }

  private:
    // The forms with a mask, all set: those without warn of uninitialised values in GCC 12 (its bug 105593). The code is the same.
    static constexpr __mmask16 all = 0xffff;

    QUERN_INLINE static __mmask16 lanes_below(int n) { return static_cast<__mmask16>(n <= 0 ? 0 : n >= 16 ? 0xffff : (1 << n) - 1); }
    // In each quarter: a0 + a1, a2 + a3, b0 + b1, b2 + b3.
    QUERN_INLINE static __m512 add_neighbours(__m512 a, __m512 b) {
        return _mm512_add_ps(_mm512_maskz_shuffle_ps(all, a, b, 0x88), _mm512_maskz_shuffle_ps(all, a, b, 0xdd));
    }
    // The same with whole quarters.
    QUERN_INLINE static __m512 add_quarters(__m512 a, __m512 b) {
        return _mm512_add_ps(_mm512_maskz_shuffle_f32x4(all, a, b, 0x88), _mm512_maskz_shuffle_f32x4(all, a, b, 0xdd));
    }
    template <int i>
    QUERN_INLINE __m256 half() const {
        return _mm512_maskz_extractf32x8_ps(0xff, lanes, i);
    }
    QUERN_INLINE __m256i halves() const { return _mm512_maskz_cvtps_ph(all, lanes, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
};

}  // namespace quern::avx512
