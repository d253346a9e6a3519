// The vocabulary of kernels on AVX-512 with VL, VNNI and VBMI. Still 32 bytes at a time: with one token a kernel waits for memory, and half
// vectors need no more; the tiles for many tokens (matmul/panel_avx512.h) use all 64.
#pragma once

#include "kernels/simd/avx2.h"

namespace quern::avx512 {

struct Simd : avx2::Simd {
    QUERN_INLINE static Bytes bits_to_bytes(uint32_t bits, Bytes value) { return _mm256_maskz_mov_epi8(bits, value); }
    QUERN_INLINE static Ints add_dot_words(Ints sum, Words a, Words b) { return _mm256_dpwssd_epi32(sum, a, b); }
    QUERN_INLINE static Ints dot_bytes(Bytes u, Bytes s) { return _mm256_dpbusd_epi32(_mm256_setzero_si256(), u, s); }
    QUERN_INLINE static Ints dot_signed_bytes(Bytes a, Bytes b) { return dot_bytes(_mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a)); }
};

}  // namespace quern::avx512
