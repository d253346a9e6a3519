// Q3_K and Q6_K: block_fit.h's search with 16 values to a group and scales of either sign.
#include "kernels/quant/affine_fit.h"
#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/k/encoders.h"
#include "kernels/quant/k/q3_k.h"
#include "kernels/quant/k/q6_k.h"

namespace quern {
namespace {

/// Levels -half .. half - 1; scales -top .. top - 1.
template <int half, int top>
struct SymmetricFit {
    static constexpr int group = 16;
    static constexpr int n_scales = 2 * top;
    static constexpr float unit = 1.0f;
    static constexpr bool any_sign = true;
    static constexpr int top_multipliers[] = {-top, -top + 1, top - 1};
    static constexpr float guesses[] = {-half - 0.9f, -half - 0.6f, -half - 0.3f, -half,       -half + 0.2f, -half + 0.4f,
                                        -half + 0.6f, -half + 0.8f, -half + 1.0f, half - 1.0f, half - 0.7f,  half - 0.4f};
    struct Codes {
        uint8_t q[16];  ///< from 0
    };

    static int multiplier(int code) { return code - top; }
    static int nearest_code(float ratio) {
        return static_cast<int>(within(ratio + (static_cast<float>(top) + 0.5f), 0.0f, 2.0f * top - 1.0f));
    }
    static FitSums assign(const float* x, const float* w, float scale, Codes& codes) {
        const float inverse = 1.0f / scale;
        FitSums sums;
        for (int i = 0; i < 16; ++i) {
            const float q = nearest_integer(within(x[i] * inverse, -static_cast<float>(half), static_cast<float>(half - 1)));
            codes.q[i] = static_cast<uint8_t>(q + static_cast<float>(half));
            sums.add(w[i], x[i], q);
        }
        return sums;
    }
};

using Q3Fit = SymmetricFit<4, 32>;
using Q6Fit = SymmetricFit<32, 128>;

void pack(const FittedBlock<Q3Fit>& fit, Q3_K::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 16; ++g) {  // as unpack_scales_16() reads them
        const int code = fit.scale_codes[g];
        out.scales[g % 8] = static_cast<uint8_t>(out.scales[g % 8] | (code & 15) << g / 8 * 4);
        out.scales[8 + g % 4] = static_cast<uint8_t>(out.scales[8 + g % 4] | (code >> 4) << g / 4 * 2);
    }
    for (int v = 0; v < 256; ++v) {
        const int q = fit.codes[v / 16].q[v % 16];
        uint8_t& low = out.qs[v / 128 * 32 + v % 32];
        low = static_cast<uint8_t>(low | (q & 3) << v / 32 % 4 * 2);
        out.hmask[v % 32] = static_cast<uint8_t>(out.hmask[v % 32] | (q >> 2) << v / 32);
    }
}

void pack(const FittedBlock<Q6Fit>& fit, Q6_K::Block& out) {
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 16; ++g) out.scales[g] = static_cast<int8_t>(fit.scale_codes[g] - 128);
    for (int v = 0; v < 256; ++v) {
        const int q = fit.codes[v / 16].q[v % 16];
        uint8_t& low = out.ql[v / 128 * 64 + v % 64];
        low = static_cast<uint8_t>(low | (q & 15) << v / 64 % 2 * 4);
        uint8_t& high = out.qh[v / 128 * 32 + v % 32];
        high = static_cast<uint8_t>(high | (q >> 4) << v / 32 % 4 * 2);
    }
}

template <typename Fit, typename Block>
void encode(const float* x, const float* importance, int64_t n, std::byte* out) {
    auto* block = reinterpret_cast<Block*>(out);
    for (int64_t i = 0; i < n; i += 256) pack(BlockFit<Fit>::run(x + i, importance != nullptr ? importance + i : nullptr), *block++);
}

}  // namespace

void encode_q3_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode<Q3Fit, Q3_K::Block>(x, importance, n, out);
}
void encode_q6_k(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    encode<Q6Fit, Q6_K::Block>(x, importance, n, out);
}

}  // namespace quern
