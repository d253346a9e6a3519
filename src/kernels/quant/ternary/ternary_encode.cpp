// TQ1_0 and TQ2_0: the scale and the set of values that are not 0, so that the weighted squared error is least. The best set holds the
// values of largest magnitude; with the k largest the gain is (sum w |x|)^2 / sum w, so each k is tried.
#include <numeric>

#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/fit.h"
#include "kernels/quant/ternary/tq1_0.h"
#include "kernels/quant/ternary/tq2_0.h"

namespace quern {
namespace {

struct Ternary {
    uint16_t d = 0;
    uint8_t q[256];  // 0, 1, 2
};

Ternary fit(const float* x, const float* importance) {
    Ternary out;
    std::fill(out.q, out.q + 256, uint8_t{1});
    if (!(largest_magnitude(x, 256) >= least_magnitude)) return out;
    float w[256];
    load_fit_weights(x, importance, 256, w);
    uint8_t order[256];
    std::iota(order, order + 256, uint8_t{0});
    std::sort(order, order + 256, [&](uint8_t a, uint8_t b) {
        const float first = std::abs(x[a]), second = std::abs(x[b]);
        return first > second || (first == second && a < b);
    });
    double products = 0, weights = 0, best_gain = 0, best = 0;
    for (const uint8_t i : order) {
        products += static_cast<double>(w[i]) * static_cast<double>(std::abs(x[i]));
        weights += static_cast<double>(w[i]);
        const double gain = weights > 0 ? products * products / weights : 0;
        if (!(gain > best_gain)) continue;
        best_gain = gain;
        best = products / weights;
    }
    out.d = nearest_f16(static_cast<float>(best));
    const float half = f16_to_f32(out.d) * 0.5f;
    for (int i = 0; i < 256; ++i) out.q[i] = static_cast<uint8_t>(x[i] > half ? 2 : x[i] < -half ? 0 : 1);
    return out;
}

void pack(const Ternary& fitted, TQ1_0::Block& out) {
    out = {};
    out.d = fitted.d;
    uint8_t digits[52][5] = {}, bytes[52];
    for (int i = 0; i < 256; ++i) {
        const TQ1_0::Place at = TQ1_0::place(i);
        digits[at.byte][at.digit] = fitted.q[i];
    }
    for (int byte = 0; byte < 52; ++byte) {
        int number = 0;
        for (const uint8_t digit : digits[byte]) number = 3 * number + digit;
        bytes[byte] = static_cast<uint8_t>((number * 256 + 242) / 243);
    }
    std::copy(bytes, bytes + 48, out.qs);
    std::copy(bytes + 48, bytes + 52, out.qh);
}

void pack(const Ternary& fitted, TQ2_0::Block& out) {
    out = {};
    out.d = fitted.d;
    for (int i = 0; i < 256; ++i) {
        uint8_t& byte = out.qs[i / 128 * 32 + i % 32];
        byte = static_cast<uint8_t>(byte | fitted.q[i] << i / 32 % 4 * 2);
    }
}

template <typename Format>
void encode(const float* x, const float* importance, int64_t n, std::byte* out) {
    auto* block = reinterpret_cast<typename Format::Block*>(out);
    for (int64_t i = 0; i < n; i += 256) pack(fit(x + i, importance != nullptr ? importance + i : nullptr), *block++);
}

}  // namespace

void encode_tq1_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<TQ1_0>(x, importance, n, out); }
void encode_tq2_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<TQ2_0>(x, importance, n, out); }

}  // namespace quern
