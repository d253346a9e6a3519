// MXFP4: the exponent with the least weighted squared error, of those at which the largest value is near the largest level.
#include "kernels/quant/fp4/mxfp4.h"
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/fit.h"

namespace quern {
namespace {

/// The nearest level: 0, 1, 2, 3, 4, 6, 8 or 12 with a sign.
uint8_t nearest_level(float v) {
    const float magnitude = std::abs(v);
    constexpr float middles[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5.0f, 7.0f, 10.0f};
    int level = 0;
    for (const float middle : middles) level += magnitude > middle;
    return static_cast<uint8_t>(v < 0.0f && level > 0 ? level + 8 : level);
}

void encode_block(const float* x, const float* importance, MXFP4::Block& out) {
    out = {};
    float w[32];
    load_fit_weights(x, importance, 32, w);
    const float most = largest_magnitude(x, 32);
    if (!(most >= 1e-37f)) return;
    int exponent;
    std::frexp(most, &exponent);            // most = 0.5 .. 1 times 2^exponent
    const int around = exponent + 128 - 4;  // there the largest value is 8 .. 16 times the scale
    constexpr int most_e = 252;             // above, the largest level is no float
    float best = -1.0f;
    for (int e = std::clamp(around - 1, 1, most_e); e <= std::min(around + 2, most_e); ++e) {
        const float scale = half_power(static_cast<uint8_t>(e)), inverse = 1.0f / scale;
        uint8_t q[32];
        float gain = 0.0f;
        for (int i = 0; i < 32; ++i) {
            const float v = x[i] * inverse;
            q[i] = nearest_level(v);
            const float level = static_cast<float>(fp4_levels[q[i]]);
            gain += w[i] * (level * (2.0f * v - level));
        }
        gain *= (scale / most) * (scale / most);
        if (!(gain > best)) continue;
        best = gain;
        out.e = static_cast<uint8_t>(e);
        for (int i = 0; i < 16; ++i) out.qs[i] = static_cast<uint8_t>(q[i] | q[16 + i] << 4);
    }
}

}  // namespace

void encode_mxfp4(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<MXFP4::Block*>(out);
    for (int64_t i = 0; i < n; i += 32) encode_block(x + i, importance != nullptr ? importance + i : nullptr, *block++);
}

}  // namespace quern
