// BlockFit's assign() for magnitudes from a code book with signs beside them (IQ2 and IQ3). The book is the parameter:
//     static constexpr int dims            values of an entry
//     static constexpr bool even_signs     of 8 values an even number is negative
//     static const Codebook<...>& book()
//     static int level(float t)            of the nearest magnitude
#pragma once

#include <bit>

#include "kernels/quant/i/codebook.h"
#include "kernels/quant/i/fit.h"

namespace quern {

template <typename Book, int group_values>
struct SignedFit {
    static constexpr int group = group_values;
    static constexpr int n_scales = 16;
    static constexpr bool any_sign = false;
    static constexpr int top_multipliers[] = {31, 29, 27, 25, 23, 21};
    static constexpr int dims = Book::dims;
    struct Codes {
        uint16_t entries[group / dims];
        uint8_t signs[group / 8];
    };

    static int multiplier(int code) { return 2 * code + 1; }
    static int nearest_code(float ratio) { return static_cast<int>(within(ratio * 0.5f, 0.0f, 15.0f)); }

    static FitSums assign(const float* x, const float* w, float scale, Codes& codes) {
        const float inverse = 1.0f / scale;
        FitSums sums;
        for (int i = 0; i < group; i += 8) {
            float magnitudes[8], targets[8];
            int levels[8];
            codes.signs[i / 8] = choose_signs(x + i, w + i, magnitudes);
            for (int j = 0; j < 8; ++j) {
                targets[j] = magnitudes[j] * inverse;
                levels[j] = Book::level(targets[j]);
            }
            for (int at = 0; at < 8; at += dims) {
                const int e = Book::book().nearest(targets + at, w + i + at, levels + at).entry;
                codes.entries[(i + at) / dims] = static_cast<uint16_t>(e);
                const float* const values = Book::book().entry(e);
                for (int j = 0; j < dims; ++j) sums.add(w[i + at + j], magnitudes[at + j], values[j]);
            }
        }
        return sums;
    }

  private:
    /// The signs of 8 values, and the values without them. Where the number must be even and is not, the value whose flip adds least error
    /// gets the wrong sign.
    static uint8_t choose_signs(const float* x, const float* w, float* magnitudes) {
        unsigned signs = 0;
        int least = 0;
        for (int j = 0; j < 8; ++j) {
            magnitudes[j] = std::abs(x[j]);
            signs |= static_cast<unsigned>(x[j] < 0.0f) << j;
            if (w[j] * magnitudes[j] < w[least] * magnitudes[least]) least = j;
        }
        if (Book::even_signs && std::popcount(signs) % 2 != 0) {
            signs ^= 1u << least;
            magnitudes[least] = -magnitudes[least];
        }
        return static_cast<uint8_t>(signs);
    }
};

}  // namespace quern
