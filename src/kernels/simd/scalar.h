// The vocabulary of kernels in plain C++, and what each word means. Loops of fixed length that a compiler turns into whatever it has.
// A Bytes is 32 bytes, a Words 16 int16, an Ints 8 int32, a Floats 8 floats.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"
#include "kernels/quant/float/bf16.h"
#include "kernels/quant/float/f16.h"

namespace quern::scalar {

template <typename T, int n>
struct alignas(16) Lanes {
    T at[n];
};

struct Simd {
    using Bytes = Lanes<uint8_t, 32>;
    using Words = Lanes<int16_t, 16>;
    using Ints = Lanes<int32_t, 8>;
    using Floats = Lanes<float, 8>;

    QUERN_INLINE static Bytes load(const void* p) {
        Bytes out;
        std::memcpy(&out, p, sizeof out);
        return out;
    }
    QUERN_INLINE static Bytes splat_byte(int value) {
        return each<Bytes>([&](int) { return static_cast<uint8_t>(value); });
    }
    QUERN_INLINE static Bytes both(const Bytes& a, const Bytes& b) {
        return each<Bytes>([&](int i) { return static_cast<uint8_t>(a.at[i] & b.at[i]); });
    }
    QUERN_INLINE static Bytes either(const Bytes& a, const Bytes& b) {
        return each<Bytes>([&](int i) { return static_cast<uint8_t>(a.at[i] | b.at[i]); });
    }
    QUERN_INLINE static Bytes flip(const Bytes& a, const Bytes& b) {
        return each<Bytes>([&](int i) { return static_cast<uint8_t>(a.at[i] ^ b.at[i]); });
    }
    /// (byte >> shift) & mask. REQUIRES: mask has no bit above 7 - shift, for bits may come in from the next byte.
    template <int shift>
    QUERN_INLINE static Bytes field(const Bytes& v, const Bytes& mask) {
        return each<Bytes>([&](int i) { return static_cast<uint8_t>(v.at[i] >> shift & mask.at[i]); });
    }
    /// byte << shift. REQUIRES: no bit leaves its byte.
    template <int shift>
    QUERN_INLINE static Bytes raise(const Bytes& v) {
        return each<Bytes>([&](int i) { return static_cast<uint8_t>(v.at[i] << shift); });
    }
    /// The low halves of 16 bytes, then their high halves.
    QUERN_INLINE static Bytes nibbles(const void* p) {
        const auto* bytes = static_cast<const uint8_t*>(p);
        Bytes out;
        for (int i = 0; i < 16; ++i) out.at[i] = bytes[i] & 15;
        for (int i = 0; i < 16; ++i) out.at[16 + i] = bytes[i] >> 4;
        return out;
    }
    /// Byte i is value's where bit i is set, else 0.
    QUERN_INLINE static Bytes bits_to_bytes(uint32_t bits, const Bytes& value) {
        return each<Bytes>([&](int i) { return static_cast<uint8_t>(bits >> i & 1 ? value.at[i] : 0); });
    }

    /// 16 int8, widened.
    QUERN_INLINE static Words words_of_signed(const void* p) {
        const auto* bytes = static_cast<const int8_t*>(p);
        return each<Words>([&](int i) { return static_cast<int16_t>(bytes[i]); });
    }
    /// 16 int8: those at even places in the first half, at odd ones in the second, so that pick<i> gives 2 i and 2 i + 1.
    QUERN_INLINE static Words words_of_signed_by_parity(const void* p) {
        const auto* bytes = static_cast<const int8_t*>(p);
        return each<Words>([&](int i) { return static_cast<int16_t>(bytes[i % 8 * 2 + i / 8]); });
    }
    /// 8 uint8, once in each half.
    QUERN_INLINE static Words words_twice_over(const void* p) {
        const auto* bytes = static_cast<const uint8_t*>(p);
        return each<Words>([&](int i) { return static_cast<int16_t>(bytes[i % 8]); });
    }
    /// 8 uint8, each in two words side by side.
    QUERN_INLINE static Words words_in_pairs(const void* p) {
        const auto* bytes = static_cast<const uint8_t*>(p);
        return each<Words>([&](int i) { return static_cast<int16_t>(bytes[i / 2]); });
    }
    QUERN_INLINE static Words load_words(const void* p) {
        Words out;
        std::memcpy(&out, p, sizeof out);
        return out;
    }
    QUERN_INLINE static Words splat_word(int value) {
        return each<Words>([&](int) { return static_cast<int16_t>(value); });
    }
    /// Low 16 bits of the products.
    QUERN_INLINE static Words times(const Words& a, const Words& b) {
        return each<Words>([&](int i) { return static_cast<int16_t>(a.at[i] * b.at[i]); });
    }
    /// In each half of 8 words: all are the half's word i.
    template <int i>
    QUERN_INLINE static Words pick(const Words& table) {
        return each<Words>([&](int lane) { return table.at[lane / 8 * 8 + i]; });
    }

    QUERN_INLINE static Ints zero_ints() {
        return each<Ints>([](int) { return 0; });
    }
    /// Word i = u[2 i] s[2 i] + u[2 i + 1] s[2 i + 1], u unsigned, s signed. REQUIRES: the sums fit in a word.
    QUERN_INLINE static Words dot_pairs(const Bytes& u, const Bytes& s) {
        const auto signed_at = [&](int i) { return static_cast<int8_t>(s.at[i]); };
        return each<Words>(
            [&](int i) { return static_cast<int16_t>(u.at[2 * i] * signed_at(2 * i) + u.at[2 * i + 1] * signed_at(2 * i + 1)); });
    }
    /// Int i = sum[i] + a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1].
    QUERN_INLINE static Ints add_dot_words(const Ints& sum, const Words& a, const Words& b) {
        return each<Ints>([&](int i) { return sum.at[i] + a.at[2 * i] * b.at[2 * i] + a.at[2 * i + 1] * b.at[2 * i + 1]; });
    }
    /// Sums of four products each, u unsigned, s signed. REQUIRES: two products fit in a word.
    QUERN_INLINE static Ints dot_bytes(const Bytes& u, const Bytes& s) {
        return add_dot_words(zero_ints(), dot_pairs(u, s), splat_word(1));
    }
    /// Sums of four products each, both signed, b not -128.
    QUERN_INLINE static Ints dot_signed_bytes(const Bytes& a, const Bytes& b) {
        const auto words = each<Words>([&](int i) {
            return static_cast<int16_t>(static_cast<int8_t>(a.at[2 * i]) * static_cast<int8_t>(b.at[2 * i]) +
                                        static_cast<int8_t>(a.at[2 * i + 1]) * static_cast<int8_t>(b.at[2 * i + 1]));
        });
        return add_dot_words(zero_ints(), words, splat_word(1));
    }

    QUERN_INLINE static Floats zero() { return splat(0.0f); }
    QUERN_INLINE static Floats splat(float x) {
        return each<Floats>([&](int) { return x; });
    }
    QUERN_INLINE static Floats to_floats(const Ints& v) {
        return each<Floats>([&](int i) { return static_cast<float>(v.at[i]); });
    }
    QUERN_INLINE static Floats load_floats(const float* p) {
        return each<Floats>([&](int i) { return p[i]; });
    }
    QUERN_INLINE static Floats load_f16(const uint16_t* p) {
        return each<Floats>([&](int i) { return f16_to_f32(p[i]); });
    }
    QUERN_INLINE static Floats load_bf16(const uint16_t* p) {
        return each<Floats>([&](int i) { return bf16_to_f32(p[i]); });
    }
    QUERN_INLINE static Floats add(const Floats& a, const Floats& b) {
        return each<Floats>([&](int i) { return a.at[i] + b.at[i]; });
    }
    QUERN_INLINE static Floats times(const Floats& a, const Floats& b) {
        return each<Floats>([&](int i) { return a.at[i] * b.at[i]; });
    }
    QUERN_INLINE static Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {
        return each<Floats>([&](int i) { return a.at[i] * b.at[i] + c.at[i]; });
    }
    QUERN_INLINE static float total(const Floats& v) {
        return ((v.at[0] + v.at[4]) + (v.at[2] + v.at[6])) + ((v.at[1] + v.at[5]) + (v.at[3] + v.at[7]));
    }
    QUERN_INLINE static float f16(uint16_t half) { return f16_to_f32(half); }

    /// max(|a|, b)
    QUERN_INLINE static Floats largest_magnitude(const Floats& a, const Floats& b) {
        return each<Floats>([&](int i) {
            const float magnitude = a.at[i] < 0 ? -a.at[i] : a.at[i];
            return magnitude > b.at[i] ? magnitude : b.at[i];
        });
    }
    QUERN_INLINE static float largest(const Floats& v) {
        float most = v.at[0];
        for (int i = 1; i < 8; ++i) most = v.at[i] > most ? v.at[i] : most;
        return most;
    }
    /// To the nearest integer, ties to even. Values that are not below 2^22 in magnitude give an unspecified integer.
    QUERN_INLINE static Ints round(const Floats& v) {
        return each<Ints>([&](int i) {
            const bool fits = v.at[i] > -0x1p22f && v.at[i] < 0x1p22f;
            const float shifted = (fits ? v.at[i] : 0.0f) + 0x1.8p23f;  // here a float's last place is 1
            int32_t bits;
            std::memcpy(&bits, &shifted, sizeof bits);
            return static_cast<int32_t>(static_cast<uint32_t>(bits) - 0x4b400000u);
        });
    }
    QUERN_INLINE static Ints add(const Ints& a, const Ints& b) {
        return each<Ints>([&](int i) { return a.at[i] + b.at[i]; });
    }
    QUERN_INLINE static int total(const Ints& v) {
        int sum = 0;
        for (int i = 0; i < 8; ++i) sum += v.at[i];
        return sum;
    }
    /// The 8 values as int8. REQUIRES: they fit.
    QUERN_INLINE static void store_as_bytes(const Ints& v, int8_t* out) {
        for (int i = 0; i < 8; ++i) out[i] = static_cast<int8_t>(v.at[i]);
    }

    QUERN_INLINE static void prefetch(const void*) {}

  private:
    template <typename Out, typename Lane>
    QUERN_INLINE static Out each(Lane&& lane) {
        Out out;
        constexpr int n = sizeof(out.at) / sizeof(out.at[0]);
        for (int i = 0; i < n; ++i) out.at[i] = lane(i);
        return out;
    }
};

}  // namespace quern::scalar
