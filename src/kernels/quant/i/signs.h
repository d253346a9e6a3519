// The signs of IQ2 and IQ3, which stand apart from their magnitudes.
#pragma once

#include <bit>

#include "kernels/inline.h"
#include "kernels/quant/i/iq_bits.h"

namespace quern {

/// Takes the signs of 256 values out. Where of 8 values an even number must be negative and is not, the one whose flip adds least error
/// gets the wrong sign: it stays negative.
template <bool even>
QUERN_INLINE void take_signs(float* x, const float* w, uint8_t* signs) {
    for (int i = 0; i < 256; i += 8) {
        unsigned bits = 0;
        int least = i;
        for (int j = 0; j < 8; ++j) {
            float& value = x[i + j];
            bits |= static_cast<unsigned>(value < 0.0f) << j;
            value = value < 0.0f ? -value : value;
            if (w[i + j] * value < w[least] * x[least]) least = i + j;
        }
        if (even && std::popcount(bits) % 2 != 0) {
            bits ^= 1u << (least - i);
            x[least] = -x[least];
        }
        signs[i / 8] = static_cast<uint8_t>(bits);
    }
}

}  // namespace quern
