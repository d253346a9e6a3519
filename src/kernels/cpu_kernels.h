// The CPU kernels of one instruction set, as a table of plain functions. Chosen once at start; no dispatch inside.
#pragma once

#include <cstdint>

#include "base/cpu_features.h"
#include "kernels/activation/activation.h"
#include "kernels/attention/attention.h"
#include "kernels/matmul/activations.h"
#include "kernels/matmul/matmul.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/token_kernels.h"

namespace quern {

struct CpuKernels {
    Isa isa;

    MatmulChoice (*matmul)(DType weights, TokenKernels kernels) noexcept;
    /// nullptr for formats that quern cannot decode.
    DecodeKernel (*decode)(DType weights) noexcept;
    /// Never nullptr.
    QuantizeKernel (*quantize)(ActivationFormat format) noexcept;

    AttentionKernel attention;
    CombineKernel combine;
    RopeKernel rope;
    /// out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]. out may be x.
    void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept;
    /// out[i] = (x[i] - mean) / sqrt(mean((x - mean)^2) + eps) * weight[i] + bias[i]; bias may be nullptr. out may be x.
    void (*layer_norm)(const float* x, const float* weight, const float* bias, NormSize size, float* out) noexcept;
    /// x[i] = activation(x[i]).
    void (*activate)(Activation activation, float* x, int64_t n) noexcept;
    /// out[i] = what Gating says of gate[i] and up[i]. out may be either.
    void (*gate)(Gating gating, const float* gate, const float* up, float* out, int64_t n) noexcept;
    /// out[i] += x[i].
    void (*add)(const float* x, float* out, int64_t n) noexcept;
    /// out[i] += factor * x[i].
    void (*add_scaled)(float factor, const float* x, float* out, int64_t n) noexcept;
    /// IEEE half, round to nearest even.
    void (*to_f16)(const float* x, uint16_t* out, int64_t n) noexcept;
};

/// REQUIRES: this machine can run it (best_isa() or narrower).
const CpuKernels& cpu_kernels(Isa isa);

}  // namespace quern
