// Rotary position embedding: pairs of values of each head turn by an angle that grows with the position.
// Source: Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN); Llama 3.1's frequency factors as stored in `rope_freqs.weight`.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// Which values form a pair: (2 i, 2 i + 1), as Llama's GGUF files are laid out, or (i, i + n/2), as NeoX, Qwen and Gemma are.
enum class RopeStyle : uint8_t { adjacent, halves };

enum class RopeScaling : uint8_t { none, linear, yarn };

struct RopeConfig {
    RopeStyle style = RopeStyle::adjacent;
    RopeScaling scaling = RopeScaling::none;
    int n_dims = 0;  ///< how many leading values of a head turn; even
    float base = 10000.0f;
    float factor = 1.0f;  ///< context extension: linear and yarn
    float yarn_beta_fast = 32.0f, yarn_beta_slow = 1.0f;
    float yarn_ext_factor = 1.0f;
    bool yarn_whole_pairs = true;   ///< the ramp begins and ends at whole pairs
    float yarn_attn_factor = 1.0f;  ///< extra magnitude, multiplied with YaRN's own 1 + 0.1 ln(factor)
    int original_context = 0;       ///< yarn: the window the model was trained on
};

/// Inverse wavelengths [n_dims / 2] and the magnitude that multiplies cos and sin. `freq_factors` (or empty) divide them, one per pair.
struct RopeFrequencies {
    std::vector<float> inverse;
    float magnitude = 1.0f;
};
RopeFrequencies rope_frequencies(const RopeConfig& config, std::span<const float> freq_factors);

/// cos and sin for one position: out[2 i] = cos, out[2 i + 1] = sin of pair i, magnitude included. The angle is computed in double.
void rope_angles(const RopeFrequencies& frequencies, int64_t position, float* out) noexcept;

/// Turns n_heads heads of head_dim values in place by one position's angles.
using RopeKernel = void (*)(float* heads, int n_heads, int head_dim, const float* angles, int n_dims, RopeStyle style) noexcept;

}  // namespace quern
