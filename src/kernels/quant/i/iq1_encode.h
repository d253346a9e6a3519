// IQ1_S and IQ1_M: block_fit.h's search over their code book of 8 values of -1, 0, 1, with a shift by an eighth up or down.
#pragma once

#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/iq1_m.h"
#include "kernels/quant/i/iq1_s.h"
#include "kernels/quant/i/triple_fit.h"

namespace quern {

/// @tparam shift_values  that share a shift: 8, or the group
template <typename V, int group_values, int shift_values>
struct Iq1Fit {
    using Vocabulary = V;
    static constexpr int group = group_values;
    static constexpr int top_code = 7;
    static constexpr float unit = 1.0f;
    static constexpr float top_multipliers[] = {15, 14, 13, 12, 11, 10};
    static constexpr float guesses[] = {0.85f, 1.0f, 1.15f, 1.3f, 1.45f, 1.6f, 1.8f, 2.0f, 2.3f, 2.7f};
    struct Codes {
        uint16_t entries[group / 8];
        bool negative[group / 8];
    };
    const TripleBook& book;

    QUERN_LANES_INLINE void prepare(float*, const float*, uint8_t*) const {}

    QUERN_LANES_INLINE FitSums assign(const float* x, const float* w, float scale, Codes& codes) const {
        using S = Sixteen<V>;
        constexpr float shift = 0.125f;
        const S inverse = S::splat(1.0f / scale);
        FoundTriples<V> up[group / 16], down[group / 16];
        float up_cost = 0.0f, down_cost = 0.0f;
        for (int i = 0; i < group; i += 16) {
            const S t = S::load(x + i) * inverse, weights = S::load(w + i);
            up[i / 16] = nearest_triples<V>(book, t, weights, shift);
            down[i / 16] = nearest_triples<V>(book, t, weights, -shift);
            up_cost += up[i / 16].costs[0] + up[i / 16].costs[1];
            down_cost += down[i / 16].costs[0] + down[i / 16].costs[1];
        }
        for (int pair = 0; pair < group / 16; ++pair)
            for (int k = 0; k < 2; ++k) {
                const bool negative = shift_values == 8 ? down[pair].costs[k] < up[pair].costs[k] : down_cost < up_cost;
                codes.negative[2 * pair + k] = negative;
                codes.entries[2 * pair + k] = negative ? down[pair].entries[k] : up[pair].entries[k];
            }
        S xq = S::splat(0.0f), qq = xq;
        for (int i = 0; i < group / 8; i += 2) {
            const S shifts = S::splat_halves(codes.negative[i] ? -shift : shift, codes.negative[i + 1] ? -shift : shift);
            const S q = S::load_halves(book.values[codes.entries[i]], book.values[codes.entries[i + 1]]) + shifts;
            const S wq = S::load(w + 8 * i) * q;
            xq = xq + wq * S::load(x + 8 * i);
            qq = qq + wq * q;
        }
        return {total(xq), total(qq)};
    }
};

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq1Fit<V, 32, 32>>& fit, IQ1_S::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        unsigned high = static_cast<unsigned>(fit.scale_codes[g]) << 12 | static_cast<unsigned>(fit.codes[g].negative[0]) << 15;
        for (int i = 0; i < 4; ++i) {
            out.qs[4 * g + i] = static_cast<uint8_t>(fit.codes[g].entries[i]);
            high |= static_cast<unsigned>(fit.codes[g].entries[i] >> 8) << 3 * i;
        }
        out.qh[g] = static_cast<uint16_t>(high);
    }
}

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq1Fit<V, 16, 8>>& fit, IQ1_M::Block& out) {
    out = {};
    for (int i = 0; i < 32; ++i) {
        const auto& codes = fit.codes[i / 2];
        out.qs[i] = static_cast<uint8_t>(codes.entries[i % 2]);
        out.qh[i / 2] = static_cast<uint8_t>(out.qh[i / 2] | (codes.entries[i % 2] >> 8 | codes.negative[i % 2] << 3) << i % 2 * 4);
    }
    for (int g = 0; g < 16; ++g) out.scales[g / 4] = static_cast<uint16_t>(out.scales[g / 4] | fit.scale_codes[g] << g % 4 * 3);
    for (int k = 0; k < 4; ++k) out.scales[k] = static_cast<uint16_t>(out.scales[k] | (fit.d >> 4 * k & 15) << 12);
}

template <typename V>
void encode_iq1_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ1_S>(Iq1Fit<V, 32, 32>{iq1_book()}, x, importance, n, out);
}
template <typename V>
void encode_iq1_m(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ1_M>(Iq1Fit<V, 16, 8>{iq1_book()}, x, importance, n, out);
}

}  // namespace quern
