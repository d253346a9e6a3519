// IQ1_S and IQ1_M: block_fit.h's search over their code book of 8 values of -1, 0, 1, with a shift by an eighth up or down.
#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/codebook.h"
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/iq1_m.h"
#include "kernels/quant/i/iq1_s.h"

namespace quern {
namespace {

const auto& iq1_book() {
    static const Codebook<8, 3, 2048, 8> book(
        {.value = [](int e, int j) { return static_cast<float>(iq1_grid[e] >> 8 * j & 0xff) / 8 - 1; },
         .level = [](int l) { return static_cast<float>(l - 1); }});
    return book;
}

/// @tparam delta_values  that share a delta
template <int group_values, int delta_values>
struct Iq1Fit {
    static constexpr int group = group_values;
    static constexpr int n_scales = 8;
    static constexpr bool any_sign = false;
    static constexpr float unit = 1.0f;
    static constexpr int top_multipliers[] = {15, 14, 13, 12, 11, 10};
    static constexpr float guesses[] = {0.85f, 1.0f, 1.15f, 1.3f, 1.45f, 1.6f, 1.8f, 2.0f, 2.3f, 2.7f};
    struct Codes {
        uint16_t entries[group / 8];
        bool negative[group / 8];
    };

    static int multiplier(int code) { return 2 * code + 1; }
    static int nearest_code(float ratio) { return static_cast<int>(within(ratio * 0.5f, 0.0f, 7.0f)); }

    static FitSums assign(const float* x, const float* w, float scale, Codes& codes) {
        const float inverse = 1.0f / scale;
        FitSums sums;
        for (int at = 0; at < group; at += delta_values) {
            Codes up{}, down{};
            const bool negative = cost_with(x, w, at, inverse, -0.125f, down) < cost_with(x, w, at, inverse, 0.125f, up);
            for (int i = at; i < at + delta_values; i += 8) {
                const int e = negative ? down.entries[i / 8] : up.entries[i / 8];
                codes.entries[i / 8] = static_cast<uint16_t>(e);
                codes.negative[i / 8] = negative;
                const float* const values = iq1_book().entry(e);
                for (int j = 0; j < 8; ++j) sums.add(w[i + j], x[i + j], values[j] + (negative ? -0.125f : 0.125f));
            }
        }
        return sums;
    }

  private:
    /// The squared error of delta_values values with this delta, in units of the scale, but for what does not depend on delta.
    static float cost_with(const float* x, const float* w, int at, float inverse, float delta, Codes& codes) {
        float cost = 0.0f;
        for (int i = at; i < at + delta_values; i += 8) {
            float targets[8];
            int levels[8];
            for (int j = 0; j < 8; ++j) {
                targets[j] = x[i + j] * inverse - delta;
                levels[j] = (targets[j] > -0.5f) + (targets[j] > 0.5f);
                cost += w[i + j] * targets[j] * targets[j];
            }
            const auto found = iq1_book().nearest(targets, w + i, levels);
            codes.entries[i / 8] = static_cast<uint16_t>(found.entry);
            cost += found.cost;
        }
        return cost;
    }
};

void encode_block(const float* x, const float* importance, IQ1_S::Block& out) {
    const auto fit = BlockFit<Iq1Fit<32, 32>>::run(x, importance);
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

void encode_block(const float* x, const float* importance, IQ1_M::Block& out) {
    const auto fit = BlockFit<Iq1Fit<16, 8>>::run(x, importance);
    out = {};
    for (int i = 0; i < 32; ++i) {
        const auto& codes = fit.codes[i / 2];
        out.qs[i] = static_cast<uint8_t>(codes.entries[i % 2]);
        out.qh[i / 2] = static_cast<uint8_t>(out.qh[i / 2] | (codes.entries[i % 2] >> 8 | codes.negative[i % 2] << 3) << i % 2 * 4);
    }
    for (int g = 0; g < 16; ++g) out.scales[g / 4] = static_cast<uint16_t>(out.scales[g / 4] | fit.scale_codes[g] << g % 4 * 3);
    for (int k = 0; k < 4; ++k) out.scales[k] = static_cast<uint16_t>(out.scales[k] | (fit.d >> 4 * k & 15) << 12);
}

template <typename Format>
void encode(const float* x, const float* importance, int64_t n, std::byte* out) {
    auto* block = reinterpret_cast<typename Format::Block*>(out);
    for (int64_t i = 0; i < n; i += 256) encode_block(x + i, importance != nullptr ? importance + i : nullptr, *block++);
}

}  // namespace

void encode_iq1_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ1_S>(x, importance, n, out); }
void encode_iq1_m(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ1_M>(x, importance, n, out); }

}  // namespace quern
