// IQ4_NL: for each block the scale with the least weighted squared error, from guesses that are then improved.
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/iq4_levels.h"

namespace quern {
namespace {

void encode_block(const float* x, const float* importance, IQ4_NL::Block& out) {
    out = {};
    float w[32];
    load_fit_weights(x, importance, 32, w);
    float extreme = 0.0f;
    for (int i = 0; i < 32; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
    if (!(std::abs(extreme) >= least_magnitude)) return;
    float best_gain = 0.0f;
    uint8_t q[32];
    const auto improve = [&](float scale) {
        const uint16_t d = nearest_f16(scale);
        const float rounded = f16_to_f32(d);
        if (rounded == 0.0f) return 0.0f;
        const FitSums sums = assign_iq4(x, w, rounded, q);
        const float gain = sums.gain(rounded);
        if (gain > best_gain) {
            best_gain = gain;
            out.d = d;
            for (int i = 0; i < 16; ++i) out.qs[i] = static_cast<uint8_t>(q[i] | q[16 + i] << 4);
        }
        return sums.best_scale();
    };
    float best_fitted_gain = 0.0f, best_fitted = 0.0f;
    for (const float guess : iq4_guesses) {
        const FitSums sums = assign_iq4(x, w, extreme / guess, q);
        const float fitted = sums.best_scale(), gain = sums.gain(fitted);
        if (!(gain > best_fitted_gain)) continue;
        best_fitted_gain = gain;
        best_fitted = fitted;
    }
    for (int round = 0; round < 5; ++round) {
        const float before = best_gain;
        best_fitted = improve(best_fitted);
        if (!(best_gain > before)) break;
    }
}

}  // namespace

void encode_iq4_nl(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* block = reinterpret_cast<IQ4_NL::Block*>(out);
    for (int64_t i = 0; i < n; i += 32) encode_block(x + i, importance != nullptr ? importance + i : nullptr, *block++);
}

}  // namespace quern
