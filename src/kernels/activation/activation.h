// Functions of single values that follow a product of matrices: the nonlinearities of feed-forward layers, and the soft cap.
#pragma once

#include <cstdint>

namespace quern {

/// gelu_tanh is GELU's approximation by tanh, as Gemma, GPT-2 and StarCoder 2 were trained with; gelu is the exact one.
/// softcap is limit tanh(x / limit). Sources: Hendrycks, Gimpel 2016 (GELU); Gemma Team 2024 (Gemma 2: soft caps).
enum class ActivationKind : uint8_t { none, silu, gelu_tanh, gelu, sigmoid, softcap };

struct Activation {
    ActivationKind kind = ActivationKind::none;
    float limit = 0;  ///< of the soft cap, > 0

    bool operator==(const Activation&) const = default;
};

/// How a gated feed-forward layer joins its two halves. clamped_swiglu is gpt-oss's: with g = min(gate, 7) and u = up within -7 to 7, it is
/// g sigmoid(1.702 g) (u + 1).
enum class Gating : uint8_t { silu, gelu_tanh, gelu, clamped_swiglu };

/// One value, by the library's functions: the oracle of the kernels, and what unfused graphs compute.
float activate_reference(Activation activation, float x) noexcept;
float gate_reference(Gating gating, float gate, float up) noexcept;

}  // namespace quern
