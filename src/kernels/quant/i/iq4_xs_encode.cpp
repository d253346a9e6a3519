// IQ4_XS: block_fit.h's search with 32 values to a group, scales -32 .. 31 and the levels of IQ4_NL.
#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/iq4_levels.h"
#include "kernels/quant/i/iq4_xs.h"

namespace quern {
namespace {

struct Iq4XsFit {
    static constexpr int group = 32;
    static constexpr int n_scales = 64;
    static constexpr float unit = 1.0f;
    static constexpr bool any_sign = true;
    static constexpr int top_multipliers[] = {-32, -31, -30, -29, -28, -27, 31, 30, 29, 28};
    static constexpr const auto& guesses = iq4_guesses;
    struct Codes {
        uint8_t q[32];
    };

    static int multiplier(int code) { return code - 32; }
    static int nearest_code(float ratio) { return static_cast<int>(within(ratio + 32.5f, 0.0f, 63.0f)); }
    static FitSums assign(const float* x, const float* w, float scale, Codes& codes) { return assign_iq4(x, w, scale, codes.q); }
};

void encode_block(const float* x, const float* importance, IQ4_XS::Block& out) {
    const auto fit = BlockFit<Iq4XsFit>::run(x, importance);
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        const int code = fit.scale_codes[g];
        out.scales_l[g / 2] = static_cast<uint8_t>(out.scales_l[g / 2] | (code & 15) << g % 2 * 4);
        out.scales_h = static_cast<uint16_t>(out.scales_h | (code >> 4) << 2 * g);
        const uint8_t* const q = fit.codes[g].q;
        for (int i = 0; i < 16; ++i) out.qs[16 * g + i] = static_cast<uint8_t>(q[i] | q[16 + i] << 4);
    }
}

}  // namespace

void encode_iq4_xs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<IQ4_XS::Block*>(out);
    for (int64_t i = 0; i < n; i += 256) encode_block(x + i, importance != nullptr ? importance + i : nullptr, *block++);
}

}  // namespace quern
