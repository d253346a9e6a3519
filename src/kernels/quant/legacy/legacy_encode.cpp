// Q4_0, Q5_0 and Q8_0: a search for the scale with the least weighted squared error. Q4_1 and Q5_1: affine_fit.h's search.
#include <cstring>

#include "kernels/quant/affine_fit.h"
#include "kernels/quant/legacy/encoders.h"
#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q4_1.h"
#include "kernels/quant/legacy/q5_0.h"
#include "kernels/quant/legacy/q5_1.h"
#include "kernels/quant/legacy/q8_0.h"
#include "kernels/simd/scalar.h"

namespace quern {
namespace {

/// Levels low .. high with a scale of either sign.
struct Levels {
    float low, high;
    int n_trials;  ///< on each side of the plain scale
    float step;    ///< between trials, in levels
};

float signed_level(float x, float inverse, const Levels& levels) { return nearest_integer(within(x * inverse, levels.low, levels.high)); }

// The scale of the least error, as the f16 that the file will hold.
uint16_t best_scale(const float* x, const float* w, const Levels& levels) {
    float extreme = 0.0f;
    for (int i = 0; i < 32; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
    if (!(std::abs(extreme) >= least_magnitude)) return 0;
    float best = 0.0f, best_gain = 0.0f;
    const auto improve = [&](float scale) {
        const float inverse = 1.0f / scale;
        FitSums sums;
        for (int i = 0; i < 32; ++i) sums.add(w[i], x[i], signed_level(x[i], inverse, levels));
        const float fitted = sums.best_scale(), gain = sums.gain(fitted);
        if (!(gain > best_gain)) return false;
        best_gain = gain;
        best = fitted;
        return true;
    };
    for (int k = -levels.n_trials; k <= levels.n_trials; ++k) improve(extreme / (levels.low + levels.step * static_cast<float>(k)));
    for (int round = 0; round < 3 && best != 0.0f; ++round)
        if (!improve(best)) break;
    return nearest_f16(best);
}

/// Levels from 0 of the 32 values at the scale that the file holds.
void choose_levels(const float* x, float scale, const Levels& levels, uint8_t* q) {
    const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    for (int i = 0; i < 32; ++i) q[i] = static_cast<uint8_t>(signed_level(x[i], inverse, levels) - levels.low);
}

void pack_nibbles(const uint8_t* q, uint8_t* qs) {
    for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((q[i] & 15) | (q[16 + i] & 15) << 4);
}

void pack_fifth_bits(const uint8_t* q, uint8_t* qh) {
    uint32_t bits = 0;
    for (int i = 0; i < 32; ++i) bits |= static_cast<uint32_t>(q[i] >> 4 & 1) << i;
    std::memcpy(qh, &bits, sizeof bits);
}

struct Affine {
    uint16_t d, m;
    uint8_t q[32];
};

Affine fit_affine(const float* x, const float* w, float top) {
    const AffineSearch<scalar::Simd, 32> search(x, w, top, false);
    const AffineFit fit = search.run();
    Affine out{.d = nearest_f16(fit.scale), .m = nearest_f16(fit.offset), .q = {}};
    search.choose_levels(f16_to_f32(out.d), f16_to_f32(out.m), out.q);
    return out;
}

/// Goes through the blocks of a row with the weights of each.
template <typename Block, typename Encode>
void for_blocks(const float* x, const float* importance, int64_t n, std::byte* out, Encode&& encode) {
    auto* block = reinterpret_cast<Block*>(out);
    for (int64_t i = 0; i < n; i += 32) {
        float w[32];
        load_fit_weights(x + i, importance != nullptr ? importance + i : nullptr, 32, w);
        encode(x + i, w, *block++);
    }
}

constexpr Levels q4_levels{-8, 7, 9, 0.1f}, q5_levels{-16, 15, 9, 0.1f}, q8_levels{-127, 127, 2, 0.3f};

}  // namespace

void encode_q4_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    for_blocks<Q4_0::Block>(x, importance, n, out, [](const float* values, const float* w, Q4_0::Block& block) {
        uint8_t q[32];
        block.d = best_scale(values, w, q4_levels);
        choose_levels(values, f16_to_f32(block.d), q4_levels, q);
        pack_nibbles(q, block.qs);
    });
}

void encode_q5_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    for_blocks<Q5_0::Block>(x, importance, n, out, [](const float* values, const float* w, Q5_0::Block& block) {
        uint8_t q[32];
        block.d = best_scale(values, w, q5_levels);
        choose_levels(values, f16_to_f32(block.d), q5_levels, q);
        pack_nibbles(q, block.qs);
        pack_fifth_bits(q, block.qh);
    });
}

void encode_q8_0(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    for_blocks<Q8_0::Block>(x, importance, n, out, [](const float* values, const float* w, Q8_0::Block& block) {
        uint8_t q[32];
        block.d = best_scale(values, w, q8_levels);
        choose_levels(values, f16_to_f32(block.d), q8_levels, q);
        for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(q[i] - 127);
    });
}

void encode_q4_1(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    for_blocks<Q4_1::Block>(x, importance, n, out, [](const float* values, const float* w, Q4_1::Block& block) {
        const Affine fit = fit_affine(values, w, 15);
        block.d = fit.d;
        block.m = fit.m;
        pack_nibbles(fit.q, block.qs);
    });
}

void encode_q5_1(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    for_blocks<Q5_1::Block>(x, importance, n, out, [](const float* values, const float* w, Q5_1::Block& block) {
        const Affine fit = fit_affine(values, w, 31);
        block.d = fit.d;
        block.m = fit.m;
        pack_nibbles(fit.q, block.qs);
        pack_fifth_bits(fit.q, block.qh);
    });
}

}  // namespace quern
