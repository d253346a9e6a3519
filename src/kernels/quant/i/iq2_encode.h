// IQ2_S, IQ2_XS and IQ2_XXS: block_fit.h's search over their code books of 8 magnitudes.
#pragma once

#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/iq2_s.h"
#include "kernels/quant/i/iq2_xs.h"
#include "kernels/quant/i/iq2_xxs.h"
#include "kernels/quant/i/signs.h"
#include "kernels/quant/i/triple_fit.h"

namespace quern {

template <typename V, int group_values, bool even_signs>
struct Iq2Fit {
    using Vocabulary = V;
    static constexpr int group = group_values;
    static constexpr int top_code = 15;
    static constexpr float unit = 0.125f;
    static constexpr float top_multipliers[] = {31, 29, 27, 25, 23, 21};
    static constexpr float guesses[] = {8.0f, 29.0f, 33.0f, 37.0f, 41.0f, 45.0f, 49.0f, 54.0f, 60.0f, 67.0f, 75.0f, 86.0f};
    struct Codes {
        uint16_t entries[group / 8];
    };
    const TripleBook& book;

    QUERN_LANES_INLINE void prepare(float* x, const float* w, uint8_t* signs) const { take_signs<even_signs>(x, w, signs); }

    QUERN_LANES_INLINE FitSums assign(const float* x, const float* w, float scale, Codes& codes) const {
        using S = Sixteen<V>;
        const S inverse = S::splat(1.0f / scale);
        S xq = S::splat(0.0f), qq = xq;
        for (int i = 0; i < group; i += 16) {
            const S values = S::load(x + i), weights = S::load(w + i);
            const auto found = nearest_triples<V>(book, values * inverse, weights, 0.0f);
            codes.entries[i / 8] = found.entries[0];
            codes.entries[i / 8 + 1] = found.entries[1];
            const S q = S::load_halves(book.values[found.entries[0]], book.values[found.entries[1]]), wq = weights * q;
            xq = xq + wq * values;
            qq = qq + wq * q;
        }
        return {total(xq), total(qq)};
    }
};

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq2Fit<V, 16, false>>& fit, IQ2_S::Block& out) {
    out = {};
    out.d = fit.d;
    for (int i = 0; i < 32; ++i) {
        const int entry = fit.codes[i / 2].entries[i % 2];
        out.qs[i] = static_cast<uint8_t>(entry);
        out.qh[i / 4] = static_cast<uint8_t>(out.qh[i / 4] | (entry >> 8) << i % 4 * 2);
        out.signs[i] = fit.signs[i];
    }
    for (int g = 0; g < 16; ++g) out.scales[g / 2] = static_cast<uint8_t>(out.scales[g / 2] | fit.scale_codes[g] << g % 2 * 4);
}

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq2Fit<V, 16, true>>& fit, IQ2_XS::Block& out) {
    out = {};
    out.d = fit.d;
    for (int i = 0; i < 32; ++i) out.qs[i] = static_cast<uint16_t>(fit.codes[i / 2].entries[i % 2] | (fit.signs[i] & 0x7f) << 9);
    for (int g = 0; g < 16; ++g) out.scales[g / 2] = static_cast<uint8_t>(out.scales[g / 2] | fit.scale_codes[g] << g % 2 * 4);
}

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq2Fit<V, 32, true>>& fit, IQ2_XXS::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        for (int i = 0; i < 4; ++i) out.qs[8 * g + i] = static_cast<uint8_t>(fit.codes[g].entries[i]);
        const uint32_t packed = pack_sevens(fit.signs + 4 * g) | static_cast<uint32_t>(fit.scale_codes[g]) << 28;
        std::memcpy(out.qs + 8 * g + 4, &packed, sizeof packed);
    }
}

template <typename V>
void encode_iq2_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ2_S>(Iq2Fit<V, 16, false>{iq2_s_book()}, x, importance, n, out);
}
template <typename V>
void encode_iq2_xs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ2_XS>(Iq2Fit<V, 16, true>{iq2_xs_book()}, x, importance, n, out);
}
template <typename V>
void encode_iq2_xxs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ2_XXS>(Iq2Fit<V, 32, true>{iq2_xxs_book()}, x, importance, n, out);
}

}  // namespace quern
