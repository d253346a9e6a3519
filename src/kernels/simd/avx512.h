// The vocabulary of kernels on AVX-512 with VL, VNNI and VBMI. Simd is still 32 bytes at a time: with one token a kernel waits for memory,
// and wider vectors would only wait longer. Wide has the 64 bytes that the panels for many tokens use (matmul/panel.h).
#pragma once

#include "kernels/simd/avx2.h"

namespace quern::avx512 {

struct Simd : avx2::Simd {
    QUERN_INLINE static Bytes bits_to_bytes(uint32_t bits, Bytes value) { return _mm256_maskz_mov_epi8(bits, value); }
    QUERN_INLINE static Ints add_dot_words(Ints sum, Words a, Words b) { return _mm256_dpwssd_epi32(sum, a, b); }
    QUERN_INLINE static Ints dot_bytes(Bytes u, Bytes s) { return _mm256_dpbusd_epi32(_mm256_setzero_si256(), u, s); }
    QUERN_INLINE static Ints dot_signed_bytes(Bytes a, Bytes b) { return dot_bytes(_mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a)); }
};

/// 16 lanes of 4 bytes, 2 words, an int or a float.
struct Wide {
    static constexpr int lanes = 16;
    using Narrow = Simd;
    using Ints = __m512i;
    using Floats = __m512;

    QUERN_INLINE static Ints load(const void* p) { return _mm512_loadu_si512(p); }
    QUERN_INLINE static Ints zero_ints() { return _mm512_setzero_si512(); }
    /// Lane i: sum[i] + the dot product of 4 unsigned bytes of u's lane i with the 4 signed bytes at p.
    QUERN_INLINE static Ints add_dot_bytes(Ints sum, Ints u, const void* p) { return _mm512_dpbusd_epi32(sum, u, splat_ints(p)); }
    /// Lane i: sum[i] + the dot product of 2 words of w's lane i with the 2 words at p.
    QUERN_INLINE static Ints add_dot_words(Ints sum, Ints w, const void* p) { return _mm512_dpwssd_epi32(sum, w, splat_ints(p)); }

    QUERN_INLINE static Floats zero() { return _mm512_setzero_ps(); }
    QUERN_INLINE static Floats splat(float x) { return _mm512_set1_ps(x); }
    QUERN_INLINE static Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
    QUERN_INLINE static Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
    QUERN_INLINE static Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    QUERN_INLINE static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    /// The first n lanes become those of v, or have them added.
    QUERN_INLINE static void store_floats(float* p, Floats v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
    QUERN_INLINE static void add_floats(float* p, Floats v, int n) {
        _mm512_mask_storeu_ps(p, first(n), _mm512_add_ps(v, _mm512_maskz_loadu_ps(first(n), p)));
    }

    /// 16 rows of 16 ints, `row_ints` apart, into 16 columns one after the other.
    QUERN_INLINE static void transpose(const void* rows, int row_ints, void* columns) {
        const auto* from = static_cast<const int32_t*>(rows);
        auto* to = static_cast<int32_t*>(columns);
        Ints a[16], b[16];
        for (int i = 0; i < 16; ++i) a[i] = load(from + i * row_ints);
        for (int i = 0; i < 16; i += 2) {
            b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
            b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
        }
        for (int i = 0; i < 16; i += 4)
            for (int j = 0; j < 2; ++j) {  // a[i + c]: rows i..i+3 of columns c, 4 + c, 8 + c, 12 + c, one column in each quarter
                a[i + 2 * j] = _mm512_unpacklo_epi64(b[i + j], b[i + 2 + j]);
                a[i + 2 * j + 1] = _mm512_unpackhi_epi64(b[i + j], b[i + 2 + j]);
            }
        for (int c = 0; c < 4; ++c) {
            const Ints low01 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x44), high01 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xee);
            const Ints low23 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x44), high23 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xee);
            _mm512_storeu_si512(to + 16 * c, _mm512_shuffle_i32x4(low01, low23, 0x88));
            _mm512_storeu_si512(to + 16 * (4 + c), _mm512_shuffle_i32x4(low01, low23, 0xdd));
            _mm512_storeu_si512(to + 16 * (8 + c), _mm512_shuffle_i32x4(high01, high23, 0x88));
            _mm512_storeu_si512(to + 16 * (12 + c), _mm512_shuffle_i32x4(high01, high23, 0xdd));
        }
    }

  private:
    QUERN_INLINE static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
    QUERN_INLINE static Ints splat_ints(const void* p) {
        int32_t four_bytes;
        std::memcpy(&four_bytes, p, sizeof four_bytes);
        return _mm512_set1_epi32(four_bytes);
    }
};

}  // namespace quern::avx512
