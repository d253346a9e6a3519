// Q3_K and Q6_K: scaled_block_fit.h's search with 16 values to a group and even levels.
#pragma once

#include "kernels/quant/k/affine_k_encode.h"
#include "kernels/quant/k/q3_k.h"
#include "kernels/quant/k/q6_k.h"
#include "kernels/quant/scaled_block_fit.h"

namespace quern {

/// Levels -half .. half - 1; scales -top .. top - 1.
template <int half, int top_scale>
struct SymmetricFit {
    struct Levels : EvenLevels<-half, half - 1> {
        static constexpr float guesses[] = {-half - 0.9f, -half - 0.6f, -half - 0.3f, -half,       -half + 0.2f, -half + 0.4f,
                                            -half + 0.6f, -half + 0.8f, -half + 1.0f, half - 1.0f, half - 0.7f,  half - 0.4f};
    };
    static constexpr int group = 16;
    static constexpr int top = top_scale;
    static constexpr float top_scales[] = {-top, -top + 1, top - 1};
};

using Q3Fit = SymmetricFit<4, 32>;
using Q6Fit = SymmetricFit<32, 128>;

QUERN_INLINE void pack(const ScaledBlock<Q3Fit>& fit, Q3_K::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 16; ++g) {  // as unpack_scales_16() reads them
        const int code = fit.scales[g];
        out.scales[g % 8] = static_cast<uint8_t>(out.scales[g % 8] | (code & 15) << g / 8 * 4);
        out.scales[8 + g % 4] = static_cast<uint8_t>(out.scales[8 + g % 4] | (code >> 4) << g / 4 * 2);
    }
    pack_bit_pairs(fit.q, out.qs);
    for (int g = 0; g < 8; ++g)
        for (int i = 0; i < 32; ++i) out.hmask[i] = static_cast<uint8_t>(out.hmask[i] | (fit.q[32 * g + i] >> 2) << g);
}

QUERN_INLINE void pack(const ScaledBlock<Q6Fit>& fit, Q6_K::Block& out) {
    out.d = fit.d;
    for (int g = 0; g < 16; ++g) out.scales[g] = static_cast<int8_t>(fit.scales[g] - 128);
    for (int half = 0; half < 2; ++half) {
        const uint8_t* const q = fit.q + 128 * half;
        for (int i = 0; i < 64; ++i) out.ql[64 * half + i] = static_cast<uint8_t>((q[i] & 15) | (q[64 + i] & 15) << 4);
        for (int i = 0; i < 32; ++i)
            out.qh[32 * half + i] = static_cast<uint8_t>(q[i] >> 4 | q[32 + i] >> 4 << 2 | q[64 + i] >> 4 << 4 | q[96 + i] >> 4 << 6);
    }
}

template <typename V>
inline constexpr auto encode_q3_k = encode_scaled_blocks<V, Q3Fit, Q3_K>;
template <typename V>
inline constexpr auto encode_q6_k = encode_scaled_blocks<V, Q6Fit, Q6_K>;

}  // namespace quern
