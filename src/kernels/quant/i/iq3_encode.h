// IQ3_S and IQ3_XXS: block_fit.h's search over their code books of 4 magnitudes.
#pragma once

#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/codebooks.h"
#include "kernels/quant/i/iq3_s.h"
#include "kernels/quant/i/iq3_xxs.h"
#include "kernels/quant/i/signs.h"

namespace quern {

struct Iq3SShape {
    static constexpr bool even_signs = false;
    static constexpr float unit = 1.0f;
    static constexpr float guesses[] = {1.0f, 9.5f, 10.7f, 11.8f, 12.8f, 13.7f, 14.5f, 15.3f, 16.2f, 17.2f, 18.5f, 20.0f};
};
struct Iq3XxsShape {
    static constexpr bool even_signs = true;
    static constexpr float unit = 0.25f;
    static constexpr float guesses[] = {4.0f, 36.0f, 40.0f, 44.0f, 48.0f, 52.0f, 56.0f, 60.0f, 64.0f, 69.0f, 75.0f, 82.0f};
};

template <typename V, typename Shape>
struct Iq3Fit : Shape {
    using Vocabulary = V;
    using S = Sixteen<V>;
    static constexpr int group = 32;
    static constexpr int top_code = 15;
    static constexpr float top_multipliers[] = {31, 29, 27, 25, 23, 21};
    struct Codes {
        uint16_t entries[8];
    };
    const QuadBook& book;

    explicit Iq3Fit(const QuadBook& quads) : book(quads) {}

    QUERN_LANES_INLINE void prepare(float* x, const float* w, uint8_t* signs) const { take_signs<Shape::even_signs>(x, w, signs); }

    QUERN_LANES_INLINE FitSums assign(const float* x, const float* w, float scale, Codes& codes) const {
        const S inverse = S::splat(1.0f / scale), zero = S::splat(0.0f);
        float targets[32], chosen[32];
        uint8_t levels[32];
        for (int i = 0; i < 32; i += 16) {
            const S t = S::load(x + i) * inverse;
            (t + t).store(targets + i);
            round(within(t * S::splat(book.to_level) + S::splat(book.level_offset), zero, S::splat(7.0f))).store_bytes(levels + i);
        }
        for (int i = 0; i < 32; i += 4) {
            const int e = nearest(targets + i, w + i, levels + i);
            codes.entries[i / 4] = static_cast<uint16_t>(e);
            std::memcpy(chosen + i, book.values[e], sizeof book.values[e]);
        }
        S xq = zero, qq = zero;
        for (int i = 0; i < 32; i += 16) {
            const S q = S::load(chosen + i), wq = S::load(w + i) * q;
            xq = xq + wq * S::load(x + i);
            qq = qq + wq * q;
        }
        return {total(xq), total(qq)};
    }

  private:
    /// @param twice  2 t for the targets t: an entry's squared error is sum w (q^2 - 2 t q) but for what all have
    QUERN_LANES_INLINE int nearest(const float* twice, const float* w, const uint8_t* levels) const {
        const S level = S::load(book.levels);
        float tables[32];
        for (int j = 0; j < 4; j += 2)
            (S::splat_halves(w[j], w[j + 1]) * (level * (level - S::splat_halves(twice[j], twice[j + 1])))).store(tables + 8 * j);
        uint32_t packed;  // three bits of each byte, to be put side by side
        std::memcpy(&packed, levels, sizeof packed);
        packed |= packed >> 5;
        const NearEntries& near = book.cells[(packed & 63) | (packed >> 10 & 0xfc0)];
        const auto candidates = S::load_codes(near.codes);
        const S cost = (S::template look_up_8<0>(tables, candidates) + S::template look_up_8<4>(tables + 8, candidates)) +
                       (S::template look_up_8<8>(tables + 16, candidates) + S::template look_up_8<12>(tables + 24, candidates));
        return near.entries[place_of_least(cost)];
    }
};

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq3Fit<V, Iq3SShape>>& fit, IQ3_S::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        out.scales[g / 2] = static_cast<uint8_t>(out.scales[g / 2] | fit.scale_codes[g] << g % 2 * 4);
        std::memcpy(out.signs + 4 * g, fit.signs + 4 * g, 4);
        for (int i = 0; i < 8; ++i) {
            out.qs[8 * g + i] = static_cast<uint8_t>(fit.codes[g].entries[i]);
            out.qh[g] = static_cast<uint8_t>(out.qh[g] | (fit.codes[g].entries[i] >> 8) << i);
        }
    }
}

template <typename V>
QUERN_LANES_INLINE void pack(const FittedBlock<Iq3Fit<V, Iq3XxsShape>>& fit, IQ3_XXS::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        for (int i = 0; i < 8; ++i) out.qs[8 * g + i] = static_cast<uint8_t>(fit.codes[g].entries[i]);
        const uint32_t packed = pack_sevens(fit.signs + 4 * g) | static_cast<uint32_t>(fit.scale_codes[g]) << 28;
        std::memcpy(out.signs_and_scales + 4 * g, &packed, sizeof packed);
    }
}

template <typename V>
void encode_iq3_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ3_S>(Iq3Fit<V, Iq3SShape>(iq3_s_book()), x, importance, n, out);
}
template <typename V>
void encode_iq3_xxs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode_from_book<IQ3_XXS>(Iq3Fit<V, Iq3XxsShape>(iq3_xxs_book()), x, importance, n, out);
}

}  // namespace quern
