// Vectors of 8 floats on AVX2 with FMA and F16C. float_scalar.h says what each word means.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/inline.h"

namespace quern::avx2 {

struct Float {
    static constexpr int width = 8;
    static constexpr int n_registers = 16;
    __m256 lanes;

    QUERN_INLINE static Float splat(float x) { return {_mm256_set1_ps(x)}; }
    QUERN_INLINE static Float load(const float* p) { return {_mm256_loadu_ps(p)}; }
    QUERN_INLINE static Float load_first(const float* p, int n) { return {_mm256_maskload_ps(p, lanes_below(n))}; }
    QUERN_INLINE static Float load_f16(const uint16_t* p) {
        return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    }
    QUERN_INLINE static Float load_f16_first(const uint16_t* p, int n) {
        alignas(16) uint16_t whole[width] = {};
        for (int i = 0; i < n; ++i) whole[i] = p[i];
        return load_f16(whole);
    }
    QUERN_INLINE static Float load_bytes(const int8_t* p) {
        return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
    }
    QUERN_INLINE static Float load_nibbles(const uint8_t* p, int shift) {
        const __m256i values =
            _mm256_srl_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), _mm_cvtsi32_si128(shift));
        return {_mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_and_si256(values, _mm256_set1_epi32(15)), _mm256_set1_epi32(8)))};
    }
    QUERN_INLINE static Float splat_f16(uint16_t bits) { return splat(_cvtsh_ss(bits)); }
    QUERN_INLINE void store(float* p) const { _mm256_storeu_ps(p, lanes); }
    QUERN_INLINE void store_first(float* p, int n) const { _mm256_maskstore_ps(p, lanes_below(n), lanes); }
    QUERN_INLINE void store_f16(uint16_t* p) const {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(lanes, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    QUERN_INLINE void store_f16_first(uint16_t* p, int n) const {
        alignas(16) uint16_t whole[width];
        store_f16(whole);
        for (int i = 0; i < n; ++i) p[i] = whole[i];
    }
    QUERN_INLINE static void load_pairs(const float* p, Float& even, Float& odd) {
        const __m256 a = _mm256_loadu_ps(p), b = _mm256_loadu_ps(p + 8);
        even.lanes = in_order(_mm256_shuffle_ps(a, b, 0x88));
        odd.lanes = in_order(_mm256_shuffle_ps(a, b, 0xdd));
    }
    QUERN_INLINE static void store_pairs(float* p, Float even, Float odd) {
        const __m256 low = _mm256_unpacklo_ps(even.lanes, odd.lanes), high = _mm256_unpackhi_ps(even.lanes, odd.lanes);
        _mm256_storeu_ps(p, _mm256_permute2f128_ps(low, high, 0x20));
        _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
    }

    QUERN_INLINE friend Float operator+(Float a, Float b) { return {_mm256_add_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float operator-(Float a, Float b) { return {_mm256_sub_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float operator*(Float a, Float b) { return {_mm256_mul_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float operator/(Float a, Float b) { return {_mm256_div_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float fma(Float a, Float b, Float c) { return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
    QUERN_INLINE friend Float max(Float a, Float b) { return {_mm256_max_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float min(Float a, Float b) { return {_mm256_min_ps(a.lanes, b.lanes)}; }
    QUERN_INLINE friend Float zero_below(Float v, Float x, Float limit) {
        return {_mm256_andnot_ps(_mm256_cmp_ps(x.lanes, limit.lanes, _CMP_LT_OQ), v.lanes)};
    }
    QUERN_INLINE friend Float keep_first(Float v, int n, Float other) {
        return {_mm256_blendv_ps(other.lanes, v.lanes, _mm256_castsi256_ps(lanes_below(n)))};
    }
    QUERN_INLINE friend Float round(Float v) { return {_mm256_round_ps(v.lanes, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
    QUERN_INLINE friend Float times_two_to(Float v, Float n) {
        const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.lanes), _mm256_set1_epi32(127));
        return {_mm256_mul_ps(v.lanes, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)))};
    }
    QUERN_INLINE friend float total(Float v) {
        __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v.lanes), _mm256_extractf128_ps(v.lanes, 1));
        sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
    }
    QUERN_INLINE friend float largest(Float v) {
        __m128 most = _mm_max_ps(_mm256_castps256_ps128(v.lanes), _mm256_extractf128_ps(v.lanes, 1));
        most = _mm_max_ps(most, _mm_movehl_ps(most, most));
        return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
    }
    QUERN_INLINE static Float totals(const Float (&rows)[width]) {
        __m256 fours[2];  // of rows 4 i to 4 i + 3, each half of a row by itself
        for (int i = 0; i < 2; ++i) {
            const Float* four = rows + 4 * i;
            fours[i] = _mm256_hadd_ps(_mm256_hadd_ps(four[0].lanes, four[1].lanes), _mm256_hadd_ps(four[2].lanes, four[3].lanes));
        }
        return {_mm256_add_ps(_mm256_permute2f128_ps(fours[0], fours[1], 0x20), _mm256_permute2f128_ps(fours[0], fours[1], 0x31))};
    }
    QUERN_INLINE friend float first(Float v) { return _mm256_cvtss_f32(v.lanes); }
    QUERN_INLINE static void transpose(Float (&rows)[width]) {
        __m256 pairs[8], quads[8];
        for (int i = 0; i < 8; i += 2) {
            pairs[i] = _mm256_unpacklo_ps(rows[i].lanes, rows[i + 1].lanes);
            pairs[i + 1] = _mm256_unpackhi_ps(rows[i].lanes, rows[i + 1].lanes);
        }
        for (int i = 0; i < 8; i += 4)
            for (int j = 0; j < 2; ++j) {
                quads[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0x44);
                quads[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0xee);
            }
        for (int i = 0; i < 4; ++i) {
            rows[i].lanes = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20);
            rows[i + 4].lanes = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31);
        }
    }

  private:
    QUERN_INLINE static __m256i lanes_below(int n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    // Pairs of floats 0 2 1 3 become 0 1 2 3.
    QUERN_INLINE static __m256 in_order(__m256 v) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8)); }
};

}  // namespace quern::avx2
