// The nearest of the IQ4 levels.
#pragma once

#include <array>
#include <cstdlib>

#include "kernels/quant/i/fit.h"
#include "kernels/quant/i/iq4_nl.h"

namespace quern {

/// For v in steps of a half from -128 on: all the middles between levels are such steps.
inline constexpr auto iq4_nearest_table = [] {
    std::array<uint8_t, 512> out{};
    for (int i = 0; i < 512; ++i) {
        const int doubled = 2 * i - 511;  // 4 v in the middle of the step
        int best = 0;
        for (int q = 1; q < 16; ++q) {
            const int far = doubled - 4 * iq4_levels[best], near = doubled - 4 * iq4_levels[q];
            if (near * near < far * far) best = q;
        }
        out[static_cast<size_t>(i)] = static_cast<uint8_t>(best);
    }
    return out;
}();

inline uint8_t nearest_iq4(float v) { return iq4_nearest_table[static_cast<size_t>(within(2.0f * v + 256.0f, 0.0f, 511.0f))]; }

/// The nearest levels of 32 values at this scale, not 0.
inline FitSums assign_iq4(const float* x, const float* w, float scale, uint8_t* q) {
    const float inverse = 1.0f / scale;
    FitSums sums;
    for (int i = 0; i < 32; ++i) {
        q[i] = nearest_iq4(x[i] * inverse);
        sums.add(w[i], x[i], static_cast<float>(iq4_levels[q[i]]));
    }
    return sums;
}

/// Levels that the value of largest magnitude may become, or would if they went on: with either sign of the scale.
inline constexpr float iq4_guesses[] = {-152, -145, -139, -134, -130, -127, -124, -120, -116, -111, -105, -98,
                                        136,  130,  125,  120,  116,  113,  110,  106,  102,  97,   91};

}  // namespace quern
