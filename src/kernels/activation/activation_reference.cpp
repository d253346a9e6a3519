// The formulas in double.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/activation/activation.h"

namespace quern {
namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

double gelu_tanh(double x) { return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x))); }

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::numbers::sqrt2); }

}  // namespace

float activate_reference(Activation activation, float value) noexcept {
    const auto x = static_cast<double>(value), limit = static_cast<double>(activation.limit);
    switch (activation.kind) {
        case ActivationKind::none:
            return value;
        case ActivationKind::silu:
            return static_cast<float>(x * sigmoid(x));
        case ActivationKind::gelu_tanh:
            return static_cast<float>(gelu_tanh(x));
        case ActivationKind::gelu:
            return static_cast<float>(gelu(x));
        case ActivationKind::sigmoid:
            return static_cast<float>(sigmoid(x));
        case ActivationKind::softcap:
            return static_cast<float>(limit * std::tanh(x / limit));
    }
    return value;
}

float gate_reference(Gating gating, float gate, float up) noexcept {
    const auto g = static_cast<double>(gate), u = static_cast<double>(up);
    switch (gating) {
        case Gating::silu:
            return static_cast<float>(g * sigmoid(g) * u);
        case Gating::gelu_tanh:
            return static_cast<float>(gelu_tanh(g) * u);
        case Gating::gelu:
            return static_cast<float>(gelu(g) * u);
        case Gating::clamped_swiglu: {
            const double least = std::min(g, 7.0);
            return static_cast<float>(least * sigmoid(1.702 * least) * (std::clamp(u, -7.0, 7.0) + 1.0));
        }
    }
    return 0.0f;
}

}  // namespace quern
