// The vocabulary of kernels on AVX-512 with VL, VNNI and VBMI. Simd has 32 bytes for kernels that read one row at a time, and 64 for those
// that multiply two rows or sixteen, even with one token: with less they would not keep up with memory. Wide has the 64 bytes that the
// panels for many tokens use.
#pragma once

#include "kernels/simd/avx2.h"

namespace quern::avx512 {

/// n of 16, from the first on.
QUERN_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

struct Simd : avx2::Simd {
    using avx2::Simd::add;
    using avx2::Simd::both;
    using avx2::Simd::either;
    using avx2::Simd::flip;
    using avx2::Simd::look_up;
    using avx2::Simd::multiply_add;
    using avx2::Simd::subtract_product;
    using avx2::Simd::times;
    using avx2::Simd::times_256;
    using avx2::Simd::to_floats;

    QUERN_INLINE static Bytes bits_to_bytes(uint32_t bits, Bytes value) { return _mm256_maskz_mov_epi8(bits, value); }
    QUERN_INLINE static Bytes negate(Bytes v, uint32_t bits) { return _mm256_mask_sub_epi8(v, bits, _mm256_setzero_si256(), v); }
    QUERN_INLINE static Ints add_dot_words(Ints sum, Words a, Words b) { return _mm256_dpwssd_epi32(sum, a, b); }
    QUERN_INLINE static Ints add_dot_bytes(Ints sum, Bytes u, Bytes s) { return _mm256_dpbusd_epi32(sum, u, s); }

    /// Two vectors as one, for kernels that multiply some rows at once (matmul/row_tile.h, row_lanes.h, k_lanes.h).
    using TwoBytes = __m512i;
    using TwoWords = __m512i;
    using TwoInts = __m512i;
    using TwoFloats = __m512;
    QUERN_INLINE static TwoBytes two_bytes(Bytes a, Bytes b) { return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1); }
    QUERN_INLINE static TwoWords two_words(Words a, Words b) { return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1); }
    /// The bytes at even, or odd, places as words.
    template <bool is_signed>
    QUERN_INLINE static TwoWords even_words(TwoBytes v) {
        return is_signed ? _mm512_srai_epi16(_mm512_slli_epi16(v, 8), 8) : _mm512_and_si512(v, _mm512_set1_epi16(255));
    }
    template <bool is_signed>
    QUERN_INLINE static TwoWords odd_words(TwoBytes v) {
        return is_signed ? _mm512_srai_epi16(v, 8) : _mm512_srli_epi16(v, 8);
    }
    QUERN_INLINE static TwoWords times(TwoWords a, TwoWords b) { return _mm512_mullo_epi16(a, b); }
    QUERN_INLINE static TwoWords load_two_words(const int16_t* p) { return _mm512_loadu_si512(p); }
    /// 16 words, twice.
    QUERN_INLINE static TwoWords load_words_twice(const int16_t* p) { return _mm512_broadcast_i64x4(load_words(p)); }
    QUERN_INLINE static TwoInts two_zero_ints() { return _mm512_setzero_si512(); }
    QUERN_INLINE static TwoInts add_dot_words(TwoInts sum, TwoWords a, TwoWords b) { return _mm512_dpwssd_epi32(sum, a, b); }
    QUERN_INLINE static TwoInts add(TwoInts a, TwoInts b) { return _mm512_add_epi32(a, b); }
    QUERN_INLINE static TwoInts times_256(TwoInts v) { return _mm512_slli_epi32(v, 8); }
    /// v / 256 to the next below, and what that leaves.
    QUERN_INLINE static TwoInts upper_part(TwoInts v) { return _mm512_srai_epi32(v, 8); }
    QUERN_INLINE static TwoInts lower_part(TwoInts v) { return _mm512_and_si512(v, _mm512_set1_epi32(255)); }
    QUERN_INLINE static TwoInts first_halves(TwoInts a, TwoInts b) { return _mm512_shuffle_i64x2(a, b, 0x44); }
    QUERN_INLINE static TwoInts second_halves(TwoInts a, TwoInts b) { return _mm512_shuffle_i64x2(a, b, 0xee); }
    QUERN_INLINE static TwoFloats two_zeros() { return _mm512_setzero_ps(); }
    QUERN_INLINE static TwoFloats two_splat(float x) { return _mm512_set1_ps(x); }
    QUERN_INLINE static TwoFloats two_splat(float a, float b) { return _mm512_insertf32x8(_mm512_set1_ps(a), _mm256_set1_ps(b), 1); }
    QUERN_INLINE static TwoFloats to_floats(TwoInts v) { return _mm512_cvtepi32_ps(v); }
    QUERN_INLINE static TwoFloats times(TwoFloats a, TwoFloats b) { return _mm512_mul_ps(a, b); }
    QUERN_INLINE static TwoFloats multiply_add(TwoFloats a, TwoFloats b, TwoFloats c) { return _mm512_fmadd_ps(a, b, c); }
    QUERN_INLINE static TwoFloats subtract_product(TwoFloats c, TwoFloats a, TwoFloats b) { return _mm512_fnmadd_ps(a, b, c); }
    template <int half>
    QUERN_INLINE static Floats half_of(TwoFloats v) {
        return _mm512_extractf32x8_ps(v, half);
    }

    /// A lane for each of sixteen rows (matmul/row_lanes.h).
    static constexpr int row_lanes = 16;
    QUERN_INLINE static TwoInts add_dot_bytes(TwoInts sum, TwoBytes u, TwoBytes s) { return _mm512_dpbusd_epi32(sum, u, s); }
    QUERN_INLINE static TwoFloats load_two_floats(const uint16_t* halves) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
    }
    QUERN_INLINE static TwoFloats load_two_floats(const float* p) { return _mm512_loadu_ps(p); }
    QUERN_INLINE static void store_first(float* p, TwoFloats v, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
    QUERN_INLINE static TwoBytes four_bytes_everywhere(const int8_t* p) {
        int bytes;
        std::memcpy(&bytes, p, sizeof bytes);
        return _mm512_set1_epi32(bytes);
    }
    QUERN_INLINE static TwoWords two_words_everywhere(const int16_t* p) {
        int words;
        std::memcpy(&words, p, sizeof words);
        return _mm512_set1_epi32(words);
    }
    QUERN_INLINE static TwoInts two_splat_int(int x) { return _mm512_set1_epi32(x); }
    QUERN_INLINE static TwoInts times_ints(TwoInts a, TwoInts b) { return _mm512_mullo_epi32(a, b); }
    QUERN_INLINE static TwoFloats add(TwoFloats a, TwoFloats b) { return _mm512_add_ps(a, b); }
    QUERN_INLINE static TwoWords less_word(TwoWords v, int value) {
        return _mm512_sub_epi16(v, _mm512_set1_epi16(static_cast<short>(value)));
    }
    QUERN_INLINE static TwoBytes byte_everywhere(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
    QUERN_INLINE static TwoBytes both(TwoBytes a, TwoBytes b) { return _mm512_and_si512(a, b); }
    QUERN_INLINE static TwoBytes either(TwoBytes a, TwoBytes b) { return _mm512_or_si512(a, b); }
    QUERN_INLINE static TwoBytes flip(TwoBytes v, TwoBytes bits) { return _mm512_xor_si512(v, bits); }
    QUERN_INLINE static TwoBytes look_up(Sixteen table, TwoBytes index) {
        return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), index);
    }
    /// value added to each byte of v for which bit 4 c + its place in its lane is set in that lane of bits.
    template <int c>
    QUERN_INLINE static TwoBytes add_to_bytes_of_bits(TwoBytes v, TwoInts bits, TwoBytes value) {
        constexpr int byte = c / 2 * 0x01010101;  // the one that has them, everywhere in its lane
        const TwoBytes places = _mm512_broadcast_i32x4(_mm_setr_epi32(byte, byte + 0x04040404, byte + 0x08080808, byte + 0x0c0c0c0c));
        const TwoBytes bit_of = _mm512_set1_epi32(c % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
        return _mm512_mask_add_epi8(v, _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, places), bit_of), v, value);
    }
    /// Words are shifted, lanes of 4 bytes rotated: bits cross from one byte into another.
    template <int n>
    QUERN_INLINE static TwoBytes shift_right(TwoBytes v) {
        return _mm512_srli_epi16(v, n);
    }
    template <int n>
    QUERN_INLINE static TwoBytes shift_left(TwoBytes v) {
        return _mm512_slli_epi16(v, n);
    }
    template <int n>
    QUERN_INLINE static TwoBytes rotate_left(TwoBytes v) {
        return _mm512_maskz_rol_epi32(0xffff, v, n);
    }
    template <int n>
    QUERN_INLINE static TwoBytes rotate_right(TwoBytes v) {
        return _mm512_maskz_ror_epi32(0xffff, v, n);
    }
    /// Lanes of 4 bytes in the first half by `a` bits, those in the second by b.
    template <int a, int b>
    QUERN_INLINE static TwoBytes rotate_halves_right(TwoBytes v) {
        return _mm512_maskz_rorv_epi32(0xffff, v, two_bytes(_mm256_set1_epi32(a), _mm256_set1_epi32(b)));
    }
    QUERN_INLINE static TwoBytes load_two_bytes(const void* p) { return _mm512_loadu_si512(p); }
    QUERN_INLINE static TwoBytes load_bytes_twice(const uint8_t* p) { return _mm512_broadcast_i64x4(load(p)); }
    /// In each quarter the sums of that quarter of rows 0 to 3.
    QUERN_INLINE static TwoInts quarter_sums(const TwoInts (&rows)[4]) {
        const TwoInts first = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[0], rows[1]), _mm512_unpackhi_epi32(rows[0], rows[1]));
        const TwoInts second = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[2], rows[3]), _mm512_unpackhi_epi32(rows[2], rows[3]));
        return _mm512_add_epi32(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
    }
    /// The sums of the first two quarters, and those of the last two.
    QUERN_INLINE static void store_sums_of_halves(int32_t* first, int32_t* second, TwoInts v) {
        const TwoInts sums = _mm512_add_epi32(v, _mm512_shuffle_i32x4(v, v, 0xb1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(first), _mm512_castsi512_si128(sums));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(second), _mm512_extracti32x4_epi32(sums, 2));
    }
    QUERN_INLINE static void store_two_ints(int32_t* p, TwoInts v) { _mm512_storeu_si512(p, v); }
    /// Byte i of each lane as an int.
    template <int i>
    QUERN_INLINE static TwoInts byte_of(TwoBytes v) {
        return _mm512_and_si512(_mm512_srli_epi32(v, 8 * i), _mm512_set1_epi32(255));
    }
    template <int i>
    QUERN_INLINE static TwoInts signed_byte_of(TwoBytes v) {
        return _mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * i), 24);
    }
    /// The lower half of each lane in both its halves.
    QUERN_INLINE static TwoWords words_twice(TwoInts v) {
        return _mm512_or_si512(_mm512_and_si512(v, _mm512_set1_epi32(0xffff)), _mm512_slli_epi32(v, 16));
    }
    QUERN_INLINE static TwoFloats lower_halves_to_floats(TwoInts v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
    QUERN_INLINE static TwoFloats upper_halves_to_floats(TwoInts v) { return lower_halves_to_floats(_mm512_srli_epi32(v, 16)); }
    QUERN_INLINE static void store_lower_halves(uint16_t* p, TwoInts v) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(v));
    }
    QUERN_INLINE static void store_upper_halves(uint16_t* p, TwoInts v) { store_lower_halves(p, _mm512_srli_epi32(v, 16)); }
    /// The upper half of each lane of a, and above it the lower half of b's.
    QUERN_INLINE static TwoInts middle_of(TwoInts a, TwoInts b) {
        return _mm512_or_si512(_mm512_srli_epi32(a, 16), _mm512_slli_epi32(b, 16));
    }
    /// columns[j]: in each row's lane its bytes 4 j to 4 j + 3.
    /// @param at  of row r, 16 bytes
    template <typename At>
    QUERN_INLINE static void rows_to_columns(At at, TwoBytes (&columns)[4]) {
        const auto load = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at(r))); };
        TwoBytes a[4], b[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)  // a quarter is a row
            a[i] = two_bytes(_mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(4 + i), 1),
                             _mm256_inserti128_si256(_mm256_castsi128_si256(load(8 + i)), load(12 + i), 1));
        for (int i = 0; i < 4; i += 2) {
            b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
            b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
        }
        for (int j = 0; j < 2; ++j) {
            columns[2 * j] = _mm512_unpacklo_epi64(b[j], b[2 + j]);
            columns[2 * j + 1] = _mm512_unpackhi_epi64(b[j], b[2 + j]);
        }
    }
    /// columns[j]: in each row's lane its values 4 j to 4 j + 3. A row is 16 bytes of two values, the low halves the first 16.
    /// @param at  of row r, its bytes
    template <typename At>
    QUERN_INLINE static void nibble_rows_to_lanes(At at, TwoBytes (&columns)[8]) {
        TwoBytes packed[4];
        rows_to_columns(at, packed);
        const TwoBytes low = byte_everywhere(15);
        for (int c = 0; c < 4; ++c) {
            columns[c] = both(packed[c], low);
            columns[4 + c] = both(shift_right<4>(packed[c]), low);
        }
    }
};

/// 16 lanes of a float, or of a unit of 4 bytes; avx2.h says what the words mean.
struct Wide {
    static constexpr int lanes = 16;
    static constexpr int unit_columns = 1;
    static constexpr int tile_tokens = 12;  // 24 sums, two vectors of weights and a token's value fill the registers
    using Narrow = Simd;
    using Ints = __m512i;
    using Floats = __m512;

    QUERN_INLINE static Floats zero() { return _mm512_setzero_ps(); }
    QUERN_INLINE static Floats splat(float x) { return _mm512_set1_ps(x); }
    QUERN_INLINE static Floats bytes(const uint8_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_16(p))); }
    QUERN_INLINE static Floats signed_bytes(const uint8_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16(p))); }
    QUERN_INLINE static Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    QUERN_INLINE static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
    QUERN_INLINE static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    QUERN_INLINE static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
    QUERN_INLINE static void store_first(float* p, Floats v, int n) { Simd::store_first(p, v, n); }
    QUERN_INLINE static Floats load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }

    QUERN_INLINE static void to_units(const float* x, uint32_t* units) { _mm512_storeu_ps(units, _mm512_loadu_ps(x)); }
    QUERN_INLINE static Floats load_units(const uint32_t* p) { return _mm512_loadu_ps(p); }
    QUERN_INLINE static Floats splat_unit(const uint32_t* p) {
        float x;
        std::memcpy(&x, p, sizeof x);
        return _mm512_set1_ps(x);
    }
    QUERN_INLINE static Floats add_product(Floats sum, Floats weights, Floats x) { return _mm512_fmadd_ps(weights, x, sum); }

    QUERN_INLINE static void transpose(const uint32_t* rows, int row_units, uint32_t* columns) {
        Ints a[16], b[16];
        for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(rows + i * row_units);
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
            _mm512_storeu_si512(columns + 16 * c, _mm512_shuffle_i32x4(low01, low23, 0x88));
            _mm512_storeu_si512(columns + 16 * (4 + c), _mm512_shuffle_i32x4(low01, low23, 0xdd));
            _mm512_storeu_si512(columns + 16 * (8 + c), _mm512_shuffle_i32x4(high01, high23, 0x88));
            _mm512_storeu_si512(columns + 16 * (12 + c), _mm512_shuffle_i32x4(high01, high23, 0xdd));
        }
    }

  private:
    QUERN_INLINE static __m128i load_16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
};

}  // namespace quern::avx512
