// The vocabulary of panels on AVX-512 with BF16: one instruction adds the products of two columns in each lane.
#pragma once

#include "kernels/simd/avx512.h"

namespace quern::avx512bf16 {

struct Wide : avx512::Wide {
    static constexpr int unit_columns = 2;

    QUERN_INLINE static void to_units(const float* x, uint32_t* units) {
        const __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
        std::memcpy(units, &pairs, sizeof pairs);
    }
    QUERN_INLINE static __m512bh load_units(const uint32_t* p) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p)); }
    QUERN_INLINE static __m512bh splat_unit(const uint32_t* p) {
        return reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(*p)));
    }
    QUERN_INLINE static Floats add_product(Floats sum, __m512bh weights, __m512bh x) { return _mm512_dpbf16_ps(sum, weights, x); }
};

}  // namespace quern::avx512bf16
