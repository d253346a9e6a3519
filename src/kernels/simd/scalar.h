// The vocabulary of kernels in portable C++ (with the vector types of GCC and Clang), and what each word means.
// A Sixteen is 16 bytes, a Bytes 32, a Words 16 int16, an Ints 8 int32, a Floats 8 floats.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"
#include "kernels/quant/float/bf16.h"
#include "kernels/quant/float/f16.h"

namespace quern::scalar {

/// n vectors of 16 bytes, the width that every processor has; wider vector types would be passed in ways that depend on the target.
template <typename Vector, int n>
struct Pieces {
    Vector at[n];
};

struct Simd {
    using U8 [[gnu::vector_size(16)]] = uint8_t;
    using I8 [[gnu::vector_size(16)]] = int8_t;
    using U16 [[gnu::vector_size(16)]] = uint16_t;
    using I16 [[gnu::vector_size(16)]] = int16_t;
    using I32 [[gnu::vector_size(16)]] = int32_t;
    using U32 [[gnu::vector_size(16)]] = uint32_t;
    using U64 [[gnu::vector_size(16)]] = uint64_t;
    using F32 [[gnu::vector_size(16)]] = float;

    using Sixteen = U8;
    using Bytes = Pieces<U8, 2>;
    using Words = Pieces<I16, 2>;
    using Ints = Pieces<I32, 2>;
    using Floats = Pieces<F32, 2>;

    QUERN_INLINE static Bytes load(const void* p) { return read<Bytes>(p); }
    QUERN_INLINE static void store(void* p, const Bytes& v) { std::memcpy(p, &v, sizeof v); }
    QUERN_INLINE static Bytes splat_byte(int value) {
        const U8 all = splat_16(value);
        return {all, all};
    }
    QUERN_INLINE static Bytes both(const Bytes& a, const Bytes& b) { return {a.at[0] & b.at[0], a.at[1] & b.at[1]}; }
    QUERN_INLINE static Bytes either(const Bytes& a, const Bytes& b) { return {a.at[0] | b.at[0], a.at[1] | b.at[1]}; }
    QUERN_INLINE static Bytes flip(const Bytes& a, const Bytes& b) { return {a.at[0] ^ b.at[0], a.at[1] ^ b.at[1]}; }
    /// (byte >> shift) & mask. REQUIRES: mask has no bit above 7 - shift, for bits may come in from the next byte.
    template <int shift>
    QUERN_INLINE static Bytes field(const Bytes& v, const Bytes& mask) {
        return {U8(U16(v.at[0]) >> shift) & mask.at[0], U8(U16(v.at[1]) >> shift) & mask.at[1]};
    }
    /// byte << shift. REQUIRES: no bit leaves its byte.
    template <int shift>
    QUERN_INLINE static Bytes raise(const Bytes& v) {
        return {U8(U16(v.at[0]) << shift), U8(U16(v.at[1]) << shift)};
    }
    /// The low halves of 16 bytes, then their high halves.
    QUERN_INLINE static Bytes nibbles(const void* p) {
        const U8 packed = read<U8>(p);
        return {packed & splat_16(15), U8(U16(packed) >> 4) & splat_16(15)};
    }
    /// Byte i is value's where bit i is set, else 0.
    QUERN_INLINE static Bytes bits_to_bytes(uint32_t bits, const Bytes& value) {
        Bytes out;
        for (int half = 0; half < 2; ++half) {
            const U8 bit_of = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
            const uint64_t ones = 0x0101010101010101u;
            const U64 bytes = {(bits >> 16 * half & 0xff) * ones, (bits >> (16 * half + 8) & 0xff) * ones};
            out.at[half] = U8((U8(bytes) & bit_of) == bit_of) & value.at[half];
        }
        return out;
    }

    /// Byte i is table[index[i]]. REQUIRES: every index is below 16.
    QUERN_INLINE static Bytes look_up(Sixteen table, const Bytes& index) {
        Bytes out;
        for (int i = 0; i < 32; ++i) out.at[i / 16][i % 16] = table[index.at[i / 16][i % 16]];
        return out;
    }
    /// 8 bytes of each, the first lowest.
    QUERN_INLINE static Bytes longs(uint64_t a, uint64_t b, uint64_t c, uint64_t d) { return {U8(U64{a, b}), U8(U64{c, d})}; }
    /// Byte i is -v where bit i is set, else v.
    QUERN_INLINE static Bytes negate(const Bytes& v, uint32_t bits) {
        const Bytes set = bits_to_bytes(bits, splat_byte(255));
        return {(v.at[0] ^ set.at[0]) - set.at[0], (v.at[1] ^ set.at[1]) - set.at[1]};
    }

    QUERN_INLINE static Sixteen load_16(const void* p) { return read<Sixteen>(p); }
    QUERN_INLINE static Sixteen make_16(const uint32_t v[4]) { return read<Sixteen>(v); }
    template <int shift>
    QUERN_INLINE static Sixteen field_16(Sixteen v, int mask) {
        return U8(U16(v) >> shift) & splat_16(mask);
    }
    QUERN_INLINE static Sixteen both(Sixteen a, Sixteen b) { return a & b; }
    QUERN_INLINE static Sixteen either(Sixteen a, Sixteen b) { return a | b; }
    /// Its 4 ints numbered a, b, c and d.
    template <int a, int b, int c, int d>
    QUERN_INLINE static Sixteen ints(Sixteen v) {
        return U8(__builtin_shufflevector(U32(v), U32(v), a, b, c, d));
    }
    /// Its 4 unsigned ints >> a, b, c and d; 32 leaves nothing.
    template <int a, int b, int c, int d>
    QUERN_INLINE static Sixteen lower_ints(Sixteen v) {
        const U32 all = U32(v);
        return U8(U32{a < 32 ? all[0] >> a % 32 : 0, b < 32 ? all[1] >> b % 32 : 0, c < 32 ? all[2] >> c % 32 : 0,
                      d < 32 ? all[3] >> d % 32 : 0});
    }
    /// 16 signed bytes, widened.
    QUERN_INLINE static Words words(Sixteen v) {
        const U8 below = {};
        return {I16(__builtin_shufflevector(below, v, 0, 16, 0, 17, 0, 18, 0, 19, 0, 20, 0, 21, 0, 22, 0, 23)) >> 8,
                I16(__builtin_shufflevector(below, v, 0, 24, 0, 25, 0, 26, 0, 27, 0, 28, 0, 29, 0, 30, 0, 31)) >> 8};
    }
    /// 16 signed bytes: those at even places in the first half, at odd ones in the second, so that pick<i> gives 2 i and 2 i + 1.
    QUERN_INLINE static Words words_by_parity(Sixteen v) { return {I16(U16(v) << 8) >> 8, I16(v) >> 8}; }
    /// The first 8 bytes, once in each half.
    QUERN_INLINE static Words low_words_twice(Sixteen v) {
        const Words all = words(v);
        return {all.at[0], all.at[0]};
    }
    /// The first, or last, 8 bytes, each in two words side by side.
    QUERN_INLINE static Words low_words_in_pairs(Sixteen v) {
        return words(__builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7));
    }
    QUERN_INLINE static Words high_words_in_pairs(Sixteen v) {
        return words(__builtin_shufflevector(v, v, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15));
    }
    QUERN_INLINE static Words load_words(const void* p) { return read<Words>(p); }
    QUERN_INLINE static Words splat_word(int value) {
        const I16 all = I16{} + static_cast<int16_t>(value);
        return {all, all};
    }
    /// Low 16 bits of the products.
    QUERN_INLINE static Words times(const Words& a, const Words& b) {
        return {I16(U16(a.at[0]) * U16(b.at[0])), I16(U16(a.at[1]) * U16(b.at[1]))};
    }
    /// In each half of 8 words: all are the half's word i.
    template <int i>
    QUERN_INLINE static Words pick(const Words& table) {
        return {I16{} + table.at[0][i], I16{} + table.at[1][i]};
    }

    QUERN_INLINE static Ints zero_ints() { return {}; }
    /// Word i = u[2 i] s[2 i] + u[2 i + 1] s[2 i + 1], u unsigned, s signed. REQUIRES: the sums fit in a word.
    QUERN_INLINE static Words dot_pairs(const Bytes& u, const Bytes& s) {
        return {dot_pairs(u.at[0], s.at[0]), dot_pairs(u.at[1], s.at[1])};
    }
    /// The same with both signed, neither -128.
    QUERN_INLINE static Words dot_signed_pairs(const Bytes& a, const Bytes& b) {
        return {dot_signed_pairs(a.at[0], b.at[0]), dot_signed_pairs(a.at[1], b.at[1])};
    }
    /// Int i = sum[i] + a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1].
    QUERN_INLINE static Ints add_dot_words(const Ints& sum, const Words& a, const Words& b) {
        return {add_dot_words(sum.at[0], a.at[0], b.at[0]), add_dot_words(sum.at[1], a.at[1], b.at[1])};
    }
    /// Int i = sum[i] + four products, u unsigned, s signed. REQUIRES: two products fit in a word.
    QUERN_INLINE static Ints add_dot_bytes(const Ints& sum, const Bytes& u, const Bytes& s) {
        return add_dot_words(sum, dot_pairs(u, s), splat_word(1));
    }
    /// Int i = sum[i] + four products, both signed, b not -128.
    QUERN_INLINE static Ints add_dot_signed_bytes(const Ints& sum, const Bytes& a, const Bytes& b) {
        return add_dot_words(sum, dot_signed_pairs(a, b), splat_word(1));
    }
    QUERN_INLINE static Ints times_256(const Ints& v) { return {v.at[0] << 8, v.at[1] << 8}; }
    /// v / 256 to the nearest, halves up.
    QUERN_INLINE static Ints high_plane(const Ints& v) { return {(v.at[0] + 128) >> 8, (v.at[1] + 128) >> 8}; }
    /// v - 256 * high, at least -127.
    QUERN_INLINE static Ints low_plane(const Ints& v, const Ints& high) {
        Ints out;
        for (int half = 0; half < 2; ++half) {
            const I32 low = v.at[half] - (high.at[half] << 8);
            out.at[half] = low > -127 ? low : I32{} - 127;
        }
        return out;
    }

    QUERN_INLINE static Floats zero() { return {}; }
    QUERN_INLINE static Floats splat(float x) {
        const F32 all = {x, x, x, x};
        return {all, all};
    }
    QUERN_INLINE static Floats to_floats(const Ints& v) {
        return {__builtin_convertvector(v.at[0], F32), __builtin_convertvector(v.at[1], F32)};
    }
    QUERN_INLINE static Floats load_floats(const float* p) { return read<Floats>(p); }
    QUERN_INLINE static void store_floats(float* p, const Floats& v) { std::memcpy(p, &v, sizeof v); }
    QUERN_INLINE static Floats load_f16(const uint16_t* p) {
        Floats out;
        const Ints halves = widen(read<I16>(p));
        for (int i = 0; i < 2; ++i) {
            const I32 half = halves.at[i] & 0xffff;
            // The exponents differ by 112; as a product this also holds for subnormal halves. What is left are infinities and NaNs.
            const F32 finite = F32((half & 0x7fff) << 13) * 0x1p112f;
            const I32 special = ((half & 0x7c00) == 0x7c00) & 0x7f800000;
            out.at[i] = F32(I32(finite) | special | (half & 0x8000) << 16);
        }
        return out;
    }
    QUERN_INLINE static Floats load_bf16(const uint16_t* p) {
        const Ints halves = widen(read<I16>(p));
        return {F32(halves.at[0] << 16), F32(halves.at[1] << 16)};
    }
    QUERN_INLINE static Floats add(const Floats& a, const Floats& b) { return {a.at[0] + b.at[0], a.at[1] + b.at[1]}; }
    QUERN_INLINE static Floats times(const Floats& a, const Floats& b) { return {a.at[0] * b.at[0], a.at[1] * b.at[1]}; }
    QUERN_INLINE static Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) { return add(times(a, b), c); }
    QUERN_INLINE static Floats subtract(const Floats& a, const Floats& b) { return {a.at[0] - b.at[0], a.at[1] - b.at[1]}; }
    /// v, or an end of low .. high; low if v is not a number.
    QUERN_INLINE static Floats within(const Floats& v, const Floats& low, const Floats& high) {
        Floats out;
        for (int half = 0; half < 2; ++half) {
            const F32 raised = v.at[half] > low.at[half] ? v.at[half] : low.at[half];
            out.at[half] = raised < high.at[half] ? raised : high.at[half];
        }
        return out;
    }
    /// c - a * b
    QUERN_INLINE static Floats subtract_product(const Floats& c, const Floats& a, const Floats& b) {
        return {c.at[0] - a.at[0] * b.at[0], c.at[1] - a.at[1] * b.at[1]};
    }
    QUERN_INLINE static float total(const Floats& v) {
        const F32 sum = v.at[0] + v.at[1];
        return (sum[0] + sum[2]) + (sum[1] + sum[3]);
    }
    QUERN_INLINE static float f16(uint16_t half) { return f16_to_f32(half); }
    QUERN_INLINE static void f16_pair(const uint16_t* p, float& first, float& second) {
        first = f16_to_f32(p[0]);
        second = f16_to_f32(p[1]);
    }

    /// max(|a|, b); b where a is not a number.
    QUERN_INLINE static Floats largest_magnitude(const Floats& a, const Floats& b) {
        Floats out;
        for (int half = 0; half < 2; ++half) {
            const F32 magnitude = F32(I32(a.at[half]) & 0x7fffffff);
            out.at[half] = magnitude > b.at[half] ? magnitude : b.at[half];
        }
        return out;
    }
    QUERN_INLINE static float largest(const Floats& v) {
        const F32 most = v.at[0] > v.at[1] ? v.at[0] : v.at[1];
        const float even = most[0] > most[2] ? most[0] : most[2], odd = most[1] > most[3] ? most[1] : most[3];
        return even > odd ? even : odd;
    }
    /// To the nearest integer, ties to even. Values that are not below 2^22 in magnitude give an unspecified integer.
    QUERN_INLINE static Ints round(const Floats& v) {
        Ints out;
        for (int half = 0; half < 2; ++half) {
            const F32 shifted = v.at[half] + 0x1.8p23f;            // here a float's last place is 1
            out.at[half] = (I32(shifted) << 8) >> 8;               // 2^22 + the integer, in the 23 bits of the fraction ...
            out.at[half] = ((out.at[half] ^ 0x400000) << 9) >> 9;  // ... whose top bit is thus its inverted sign
        }
        return out;
    }
    QUERN_INLINE static Ints add(const Ints& a, const Ints& b) { return {a.at[0] + b.at[0], a.at[1] + b.at[1]}; }
    QUERN_INLINE static int total(const Ints& v) {
        const I32 sum = v.at[0] + v.at[1];
        return sum[0] + sum[1] + sum[2] + sum[3];
    }
    /// The 8 values as int8. REQUIRES: they fit.
    QUERN_INLINE static void store_as_bytes(const Ints& v, int8_t* out) {
        for (int i = 0; i < 8; ++i) out[i] = static_cast<int8_t>(v.at[i / 4][i % 4]);
    }

    QUERN_INLINE static void prefetch(const void* p) { __builtin_prefetch(p); }

  private:
    template <typename T>
    QUERN_INLINE static T read(const void* p) {
        T out;
        std::memcpy(&out, p, sizeof out);
        return out;
    }
    /// 8 words as ints, each in the lower half of its lane; the upper half is unspecified.
    QUERN_INLINE static Ints widen(I16 v) {
        return {I32(__builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3)), I32(__builtin_shufflevector(v, v, 4, 4, 5, 5, 6, 6, 7, 7))};
    }
    QUERN_INLINE static U8 splat_16(int value) { return U8{} + static_cast<uint8_t>(value); }
    QUERN_INLINE static I16 dot_pairs(U8 u, U8 s) {
        const I16 low = I16(U16(u) & 0xff) * (I16(U16(s) << 8) >> 8);
        return low + I16(U16(u) >> 8) * (I16(s) >> 8);
    }
    QUERN_INLINE static I16 dot_signed_pairs(U8 a, U8 b) {
        return (I16(U16(a) << 8) >> 8) * (I16(U16(b) << 8) >> 8) + (I16(a) >> 8) * (I16(b) >> 8);
    }
    /// The low and the upper words of each int, times each other.
    QUERN_INLINE static I32 add_dot_words(I32 sum, I16 a, I16 b) {
#if defined(__SSE2__)  // the one instruction of the x86-64 baseline that no compiler finds
        return sum + I32(__builtin_ia32_pmaddwd128(a, b));
#endif
        const I32 low = ((I32(a) << 16) >> 16) * ((I32(b) << 16) >> 16);
        return sum + low + (I32(a) >> 16) * (I32(b) >> 16);
    }
};

}  // namespace quern::scalar
