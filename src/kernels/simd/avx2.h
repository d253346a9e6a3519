// The vocabulary of kernels on AVX2 with FMA and F16C: 32 bytes or 8 floats at a time.
// Every instruction set offers the same names (simd/scalar.h says what they mean); algorithms take one of them as their parameter V.
#pragma once

// GCC takes the "undefined" operands inside its own AVX-512 intrinsics for uninitialised ones (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"

namespace quern::avx2 {

struct Simd {
    using Sixteen = __m128i;
    using Bytes = __m256i;
    using Words = __m256i;
    using Ints = __m256i;
    using Floats = __m256;

    QUERN_INLINE static Bytes load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    QUERN_INLINE static void store(void* p, Bytes v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
    QUERN_INLINE static Bytes splat_byte(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
    QUERN_INLINE static Bytes both(Bytes a, Bytes b) { return _mm256_and_si256(a, b); }
    QUERN_INLINE static Bytes either(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
    QUERN_INLINE static Bytes flip(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
    template <int shift>
    QUERN_INLINE static Bytes field(Bytes v, Bytes mask) {
        return _mm256_and_si256(_mm256_srli_epi16(v, shift), mask);
    }
    template <int shift>
    QUERN_INLINE static Bytes raise(Bytes v) {
        return _mm256_slli_epi16(v, shift);
    }
    QUERN_INLINE static Bytes nibbles(const void* p) {
        const __m128i low = _mm_loadu_si128(static_cast<const __m128i*>(p));
        return _mm256_and_si256(_mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_srli_epi16(low, 4), 1), _mm256_set1_epi8(15));
    }
    QUERN_INLINE static Bytes bits_to_bytes(uint32_t bits, Bytes value) {
        const __m256i byte_of =
            _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
        const __m256i bit_of = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ull));
        const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), byte_of);
        return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of), bit_of), value);
    }

    QUERN_INLINE static Bytes look_up(Sixteen table, Bytes index) { return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), index); }
    QUERN_INLINE static Bytes longs(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
        return _mm256_setr_epi64x(static_cast<int64_t>(a), static_cast<int64_t>(b), static_cast<int64_t>(c), static_cast<int64_t>(d));
    }
    QUERN_INLINE static Bytes negate(Bytes v, uint32_t bits) {
        const Bytes set = bits_to_bytes(bits, splat_byte(255));
        return _mm256_sub_epi8(flip(v, set), set);
    }

    QUERN_INLINE static Sixteen load_16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
    QUERN_INLINE static Sixteen make_16(const uint32_t v[4]) {
        return _mm_setr_epi32(static_cast<int>(v[0]), static_cast<int>(v[1]), static_cast<int>(v[2]), static_cast<int>(v[3]));
    }
    template <int shift>
    QUERN_INLINE static Sixteen field_16(Sixteen v, int mask) {
        return _mm_and_si128(_mm_srli_epi16(v, shift), _mm_set1_epi8(static_cast<char>(mask)));
    }
    QUERN_INLINE static Sixteen both(Sixteen a, Sixteen b) { return _mm_and_si128(a, b); }
    QUERN_INLINE static Sixteen either(Sixteen a, Sixteen b) { return _mm_or_si128(a, b); }
    template <int a, int b, int c, int d>
    QUERN_INLINE static Sixteen ints(Sixteen v) {
        return _mm_shuffle_epi32(v, a | b << 2 | c << 4 | d << 6);
    }
    template <int a, int b, int c, int d>
    QUERN_INLINE static Sixteen lower_ints(Sixteen v) {
        return _mm_srlv_epi32(v, _mm_setr_epi32(a, b, c, d));
    }
    QUERN_INLINE static Words words(Sixteen v) { return _mm256_cvtepi8_epi16(v); }
    QUERN_INLINE static Words words_by_parity(Sixteen v) {
        return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(v, _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15)));
    }
    QUERN_INLINE static Words low_words_twice(Sixteen v) { return _mm256_cvtepi8_epi16(_mm_unpacklo_epi64(v, v)); }
    QUERN_INLINE static Words low_words_in_pairs(Sixteen v) { return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(v, v)); }
    QUERN_INLINE static Words high_words_in_pairs(Sixteen v) { return _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(v, v)); }
    QUERN_INLINE static Words load_words(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    QUERN_INLINE static Words splat_word(int value) { return _mm256_set1_epi16(static_cast<int16_t>(value)); }
    QUERN_INLINE static Words times(Words a, Words b) { return _mm256_mullo_epi16(a, b); }
    template <int i>
    QUERN_INLINE static Words pick(Words table) {
        return _mm256_shuffle_epi8(table, _mm256_set1_epi16(static_cast<int16_t>((2 * i + 1) << 8 | 2 * i)));
    }

    QUERN_INLINE static Ints zero_ints() { return _mm256_setzero_si256(); }
    QUERN_INLINE static Words dot_pairs(Bytes u, Bytes s) { return _mm256_maddubs_epi16(u, s); }
    QUERN_INLINE static Words dot_signed_pairs(Bytes a, Bytes b) {
        return _mm256_maddubs_epi16(_mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a));
    }
    QUERN_INLINE static Ints add_dot_words(Ints sum, Words a, Words b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
    QUERN_INLINE static Ints add_dot_bytes(Ints sum, Bytes u, Bytes s) {
        return add_dot_words(sum, _mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1));
    }
    QUERN_INLINE static Ints add_dot_signed_bytes(Ints sum, Bytes a, Bytes b) {
        return add_dot_bytes(sum, _mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a));
    }
    QUERN_INLINE static Ints times_256(Ints v) { return _mm256_slli_epi32(v, 8); }
    QUERN_INLINE static Ints high_plane(Ints v) { return _mm256_srai_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(128)), 8); }
    QUERN_INLINE static Ints low_plane(Ints v, Ints high) {
        return _mm256_max_epi32(_mm256_sub_epi32(v, times_256(high)), _mm256_set1_epi32(-127));
    }

    QUERN_INLINE static Floats zero() { return _mm256_setzero_ps(); }
    QUERN_INLINE static Floats splat(float x) { return _mm256_set1_ps(x); }
    QUERN_INLINE static Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
    QUERN_INLINE static Floats low_words_to_floats(Words v) { return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(v))); }
    QUERN_INLINE static Floats high_words_to_floats(Words v) {
        return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1)));
    }
    QUERN_INLINE static void store_floats(float* p, Floats v) { _mm256_storeu_ps(p, v); }
    QUERN_INLINE static Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
    QUERN_INLINE static Floats load_f16(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
    QUERN_INLINE static Floats load_bf16(const uint16_t* p) {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    }
    QUERN_INLINE static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
    QUERN_INLINE static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    QUERN_INLINE static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
    QUERN_INLINE static Floats within(Floats v, Floats low, Floats high) { return _mm256_min_ps(_mm256_max_ps(v, low), high); }
    QUERN_INLINE static Floats subtract_product(Floats c, Floats a, Floats b) { return _mm256_fnmadd_ps(a, b, c); }
    QUERN_INLINE static float total(Floats v) {
        __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
    }
    QUERN_INLINE static float f16(uint16_t half) { return _cvtsh_ss(half); }
    QUERN_INLINE static void f16_pair(const uint16_t* p, float& first, float& second) {
        int32_t both_halves;
        std::memcpy(&both_halves, p, sizeof both_halves);
        const __m128 pair = _mm_cvtph_ps(_mm_cvtsi32_si128(both_halves));
        first = _mm_cvtss_f32(pair);
        second = _mm_cvtss_f32(_mm_movehdup_ps(pair));
    }

    QUERN_INLINE static Floats largest_magnitude(Floats a, Floats b) {
        return _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a), b);
    }
    QUERN_INLINE static float largest(Floats v) {
        __m128 most = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        most = _mm_max_ps(most, _mm_movehl_ps(most, most));
        return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
    }
    QUERN_INLINE static Ints round(Floats v) { return _mm256_cvtps_epi32(v); }
    QUERN_INLINE static Floats times(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    QUERN_INLINE static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
    QUERN_INLINE static int total(Ints v) {
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
        return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 1)));
    }
    QUERN_INLINE static void store_as_bytes(Ints v, int8_t* out) {
        const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packs_epi16(words, words));
    }

    QUERN_INLINE static void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
};

/// The words of panels (matmul/panel.h): 8 lanes of a float, or of a unit of 4 bytes.
struct Wide {
    static constexpr int lanes = 8;
    static constexpr int unit_columns = 1;  // of weights in a unit
    static constexpr int tile_tokens = 6;   // 12 sums, two vectors of weights and a token's value fill the registers
    using Narrow = Simd;
    using Floats = __m256;

    QUERN_INLINE static Floats zero() { return _mm256_setzero_ps(); }
    QUERN_INLINE static Floats splat(float x) { return _mm256_set1_ps(x); }
    /// As many bytes as there are lanes.
    QUERN_INLINE static Floats bytes(const uint8_t* p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_8(p))); }
    QUERN_INLINE static Floats signed_bytes(const uint8_t* p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8(p))); }
    QUERN_INLINE static Floats times(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    QUERN_INLINE static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
    QUERN_INLINE static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    QUERN_INLINE static void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
    /// The first n lanes only.
    QUERN_INLINE static void store_first(float* p, Floats v, int n) { _mm256_maskstore_ps(p, first(n), v); }
    QUERN_INLINE static Floats load_first(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }

    /// lanes * unit_columns values as lanes units.
    QUERN_INLINE static void to_units(const float* x, uint32_t* units) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(units), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
    }
    QUERN_INLINE static Floats load_units(const uint32_t* p) {
        return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    QUERN_INLINE static Floats splat_unit(const uint32_t* p) {
        float x;
        std::memcpy(&x, p, sizeof x);
        return _mm256_set1_ps(x);
    }
    /// Lane i: sum[i] + the products of the columns in unit i.
    QUERN_INLINE static Floats add_product(Floats sum, Floats weights, Floats x) { return _mm256_fmadd_ps(weights, x, sum); }

    /// As many rows as there are lanes, of as many units, `row_units` apart, into columns one after the other.
    QUERN_INLINE static void transpose(const uint32_t* rows, int row_units, uint32_t* columns) {
        __m256 a[8], b[8];
        for (int i = 0; i < 8; ++i) a[i] = load_units(rows + i * row_units);
        for (int i = 0; i < 8; i += 2) {
            b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
            b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
        }
        for (int i = 0; i < 8; i += 4)
            for (int j = 0; j < 2; ++j) {  // a[i + c]: rows i..i+3 of columns c and 4 + c, one in each half
                a[i + 2 * j] = _mm256_shuffle_ps(b[i + j], b[i + 2 + j], 0x44);
                a[i + 2 * j + 1] = _mm256_shuffle_ps(b[i + j], b[i + 2 + j], 0xee);
            }
        for (int c = 0; c < 4; ++c) {
            store_units(columns + 8 * c, _mm256_permute2f128_ps(a[c], a[4 + c], 0x20));
            store_units(columns + 8 * (4 + c), _mm256_permute2f128_ps(a[c], a[4 + c], 0x31));
        }
    }

  private:
    QUERN_INLINE static __m128i load_8(const uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
    QUERN_INLINE static __m256i first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
    QUERN_INLINE static void store_units(uint32_t* p, __m256 v) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(v));
    }
};

}  // namespace quern::avx2
