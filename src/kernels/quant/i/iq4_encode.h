// IQ4_NL and IQ4_XS: the searches of scale_fit.h and scaled_block_fit.h with the levels of IQ4.
#pragma once

#include <array>

#include "kernels/quant/i/iq4_nl.h"
#include "kernels/quant/i/iq4_xs.h"
#include "kernels/quant/legacy/legacy_encode.h"
#include "kernels/quant/scaled_block_fit.h"

namespace quern {

struct Iq4Levels {
    /// Levels that the value of largest magnitude may become, or would if they went on: with either sign of the scale.
    static constexpr float guesses[] = {-152, -145, -139, -134, -130, -127, -124, -120, -116, -111, -105, -98,
                                        136,  130,  125,  120,  116,  113,  110,  106,  102,  97,   91};

    template <typename V>
    QUERN_LANES_INLINE static Sixteen<V> nearest(const Sixteen<V>& v) {
        return Sixteen<V>::look_up_16(values.data(), Sixteen<V>::search_16(middles.data(), v));
    }
    template <typename V>
    QUERN_LANES_INLINE static void store(const Sixteen<V>& v, uint8_t* q) {
        Sixteen<V>::store_code_bytes(q, Sixteen<V>::search_16(middles.data(), v));
    }

  private:
    static constexpr auto values = [] {
        std::array<float, 16> out{};
        for (size_t q = 0; q < 16; ++q) out[q] = static_cast<float>(iq4_levels[q]);
        return out;
    }();
    /// The middles between levels as search_16() wants them; vectors read past the last.
    static constexpr auto middles = [] {
        std::array<float, 32> out{};
        for (size_t first = 0, step = 16; step > 1; first = 2 * first + 1, step /= 2)
            for (size_t i = 0; i <= first; ++i) {
                const size_t below = step * i + step / 2 - 1;
                out[first + i] = 0.5f * static_cast<float>(iq4_levels[below] + iq4_levels[below + 1]);
            }
        return out;
    }();
};

struct Iq4XsFit {
    using Levels = Iq4Levels;
    static constexpr int group = 32;
    static constexpr int top = 32;
    static constexpr float top_scales[] = {-32, -31, -30, -29, -28, -27, 31, 30, 29, 28};
};

QUERN_INLINE void pack(const uint8_t* q, IQ4_NL::Block& out) { pack_nibbles(q, out.qs); }

QUERN_INLINE void pack(const ScaledBlock<Iq4XsFit>& fit, IQ4_XS::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        const int code = fit.scales[g];
        out.scales_l[g / 2] = static_cast<uint8_t>(out.scales_l[g / 2] | (code & 15) << g % 2 * 4);
        out.scales_h = static_cast<uint16_t>(out.scales_h | (code >> 4) << 2 * g);
        pack_nibbles(fit.q + 32 * g, out.qs + 16 * g);
    }
}

template <typename V>
inline constexpr auto encode_iq4_nl = encode_scaled<V, IQ4_NL, Iq4Levels>;
template <typename V>
inline constexpr auto encode_iq4_xs = encode_scaled_blocks<V, Iq4XsFit, IQ4_XS>;

}  // namespace quern
