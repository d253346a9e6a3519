// What encoders need beside the vectors of floats, on AVX-512. exact_scalar.h says what each word means.
#pragma once

#include "kernels/simd/float_avx512.h"

namespace quern::avx512 {

struct Exact {
    using Float = avx512::Float;
    static constexpr int width = Float::width;
    struct Mask {
        __mmask16 lanes;
    };
    struct Codes {
        __m512i lanes;
    };

    QUERN_INLINE static Mask less(Float a, Float b) { return {_mm512_cmp_ps_mask(a.lanes, b.lanes, _CMP_LT_OQ)}; }
    QUERN_INLINE static Float choose(Mask mask, Float a, Float b) { return {_mm512_mask_mov_ps(b.lanes, mask.lanes, a.lanes)}; }
    QUERN_INLINE static Float magnitude(Float v) { return {_mm512_maskz_andnot_ps(all, _mm512_set1_ps(-0.0f), v.lanes)}; }
    QUERN_INLINE static uint32_t bits(Mask mask) { return mask.lanes; }
    QUERN_INLINE static void store_bytes(uint8_t* p, Float v) { store_code_bytes(p, {_mm512_maskz_cvtps_epi32(all, v.lanes)}); }
    QUERN_INLINE static float least(Float v) {
        const __m256 half = _mm256_min_ps(_mm512_maskz_extractf32x8_ps(0xff, v.lanes, 0), _mm512_maskz_extractf32x8_ps(0xff, v.lanes, 1));
        __m128 out = _mm_min_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
        out = _mm_min_ps(out, _mm_movehl_ps(out, out));
        return _mm_cvtss_f32(_mm_min_ss(out, _mm_movehdup_ps(out)));
    }

    QUERN_INLINE static void store_fours(float* out, Float a, Float b, Float c, Float d) {
        const __m512 low_ab = _mm512_maskz_unpacklo_ps(all, a.lanes, b.lanes), high_ab = _mm512_maskz_unpackhi_ps(all, a.lanes, b.lanes);
        const __m512 low_cd = _mm512_maskz_unpacklo_ps(all, c.lanes, d.lanes), high_cd = _mm512_maskz_unpackhi_ps(all, c.lanes, d.lanes);
        _mm512_storeu_ps(out, _mm512_maskz_shuffle_ps(all, low_ab, low_cd, 0x44));
        _mm512_storeu_ps(out + 16, _mm512_maskz_shuffle_ps(all, low_ab, low_cd, 0xee));
        _mm512_storeu_ps(out + 32, _mm512_maskz_shuffle_ps(all, high_ab, high_cd, 0x44));
        _mm512_storeu_ps(out + 48, _mm512_maskz_shuffle_ps(all, high_ab, high_cd, 0xee));
    }
    static constexpr int place(int lane) { return lane % 4 * 16 + lane / 4 * 4; }
    /// For vectors of 16 alone: eight floats from each, and eight of each.
    QUERN_INLINE static Float load_halves(const float* low, const float* high) {
        const __m512 twice = _mm512_maskz_broadcast_f32x8(all, _mm256_loadu_ps(low));
        return {_mm512_mask_broadcast_f32x8(twice, 0xff00, _mm256_loadu_ps(high))};
    }
    QUERN_INLINE static Float splat_halves(float low, float high) {
        return {_mm512_mask_mov_ps(_mm512_set1_ps(low), 0xff00, _mm512_set1_ps(high))};
    }

    QUERN_INLINE static Codes load_codes(const uint16_t* p) {
        return {_mm512_maskz_cvtepu16_epi32(all, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
    }
    template <int shift>
    QUERN_INLINE static Float look_up_4(const float* table, Codes codes) {
        const __m512 four = _mm512_maskz_broadcast_f32x4(all, _mm_loadu_ps(table));
        return {_mm512_maskz_permutevar_ps(all, four, _mm512_maskz_srli_epi32(all, codes.lanes, shift))};
    }
    template <int shift>
    QUERN_INLINE static Float look_up_8(const float* table, Codes codes) {
        const __m512 eight = _mm512_maskz_broadcast_f32x8(all, _mm256_loadu_ps(table));
        return {_mm512_maskz_permutexvar_ps(all, _mm512_maskz_srli_epi32(all, codes.lanes, shift), eight)};
    }
    QUERN_INLINE static Codes search_16(const float* tree, Float v) {
        __m512i at = _mm512_setzero_si512();
        for (int level = 1; level < 16; level *= 2) {
            const __m512 thresholds = _mm512_maskz_permutexvar_ps(all, at, _mm512_loadu_ps(tree + level - 1));
            const __mmask16 above = _mm512_cmp_ps_mask(thresholds, v.lanes, _CMP_LT_OQ);
            at = _mm512_add_epi32(at, at);
            at = _mm512_mask_add_epi32(at, above, at, _mm512_set1_epi32(1));
        }
        return {at};
    }
    QUERN_INLINE static Float look_up_16(const float* table, Codes codes) {
        return {_mm512_maskz_permutexvar_ps(all, codes.lanes, _mm512_loadu_ps(table))};
    }
    QUERN_INLINE static void store_code_bytes(uint8_t* p, Codes codes) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(all, codes.lanes));
    }

  private:
    static constexpr __mmask16 all = 0xffff;  // as in float_avx512.h
};

}  // namespace quern::avx512
