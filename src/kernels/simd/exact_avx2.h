// What encoders need beside the vectors of floats, on AVX2. exact_scalar.h says what each word means.
#pragma once

#include "kernels/simd/float_avx2.h"

namespace quern::avx2 {

struct Exact {
    using Float = avx2::Float;
    static constexpr int width = Float::width;
    struct Mask {
        __m256 lanes;
    };
    struct Codes {
        __m256i lanes;
    };

    QUERN_INLINE static Mask less(Float a, Float b) { return {_mm256_cmp_ps(a.lanes, b.lanes, _CMP_LT_OQ)}; }
    QUERN_INLINE static Float choose(Mask mask, Float a, Float b) { return {_mm256_blendv_ps(b.lanes, a.lanes, mask.lanes)}; }
    QUERN_INLINE static Float magnitude(Float v) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v.lanes)}; }
    QUERN_INLINE static uint32_t bits(Mask mask) { return static_cast<uint32_t>(_mm256_movemask_ps(mask.lanes)); }
    QUERN_INLINE static void store_bytes(uint8_t* p, Float v) { store_code_bytes(p, {_mm256_cvtps_epi32(v.lanes)}); }
    QUERN_INLINE static float least(Float v) {
        __m128 out = _mm_min_ps(_mm256_castps256_ps128(v.lanes), _mm256_extractf128_ps(v.lanes, 1));
        out = _mm_min_ps(out, _mm_movehl_ps(out, out));
        return _mm_cvtss_f32(_mm_min_ss(out, _mm_movehdup_ps(out)));
    }

    QUERN_INLINE static void store_fours(float* out, Float a, Float b, Float c, Float d) {
        const __m256 low_ab = _mm256_unpacklo_ps(a.lanes, b.lanes), high_ab = _mm256_unpackhi_ps(a.lanes, b.lanes);
        const __m256 low_cd = _mm256_unpacklo_ps(c.lanes, d.lanes), high_cd = _mm256_unpackhi_ps(c.lanes, d.lanes);
        _mm256_storeu_ps(out, _mm256_shuffle_ps(low_ab, low_cd, 0x44));
        _mm256_storeu_ps(out + 8, _mm256_shuffle_ps(low_ab, low_cd, 0xee));
        _mm256_storeu_ps(out + 16, _mm256_shuffle_ps(high_ab, high_cd, 0x44));
        _mm256_storeu_ps(out + 24, _mm256_shuffle_ps(high_ab, high_cd, 0xee));
    }
    static constexpr int place(int lane) { return lane % 4 * 8 + lane / 4 * 4; }

    QUERN_INLINE static Codes load_codes(const uint16_t* p) {
        return {_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    }
    template <int shift>
    QUERN_INLINE static Float look_up_4(const float* table, Codes codes) {
        return {_mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(table)), _mm256_srli_epi32(codes.lanes, shift))};
    }
    template <int shift>
    QUERN_INLINE static Float look_up_8(const float* table, Codes codes) {
        return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_srli_epi32(codes.lanes, shift))};
    }
    QUERN_INLINE static Codes search_16(const float* tree, Float v) {
        __m256i at = _mm256_castps_si256(_mm256_cmp_ps(_mm256_set1_ps(tree[0]), v.lanes, _CMP_LT_OQ));
        at = _mm256_sub_epi32(_mm256_setzero_si256(), at);
        for (int level = 2; level < 16; level *= 2) {
            const __m256 thresholds = _mm256_permutevar8x32_ps(_mm256_loadu_ps(tree + level - 1), at);
            const __m256i above = _mm256_castps_si256(_mm256_cmp_ps(thresholds, v.lanes, _CMP_LT_OQ));
            at = _mm256_sub_epi32(_mm256_add_epi32(at, at), above);
        }
        return {at};
    }
    QUERN_INLINE static Float look_up_16(const float* table, Codes codes) {
        const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), codes.lanes);
        const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), codes.lanes);
        return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(codes.lanes, 28)))};
    }
    QUERN_INLINE static void store_code_bytes(uint8_t* p, Codes codes) {
        const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(codes.lanes), _mm256_extracti128_si256(codes.lanes, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
    }
};

}  // namespace quern::avx2
