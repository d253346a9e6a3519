// The oracle of every matmul test: slow, in double, and without any knowledge of how kernels work.
#include <vector>

#include "kernels/matmul/matmul.h"
#include "kernels/quant/decode.h"
#include "kernels/quant/float/bf16.h"

namespace quern {

void decode_activations(ActivationFormat format, const std::byte* row, int64_t n, double* out) noexcept {
    for (int64_t i = 0; i < n; ++i) {
        switch (format) {
            case ActivationFormat::f32:
                out[i] = static_cast<double>(reinterpret_cast<const float*>(row)[i]);
                break;
            case ActivationFormat::bf16:
                out[i] = static_cast<double>(bf16_to_f32(reinterpret_cast<const uint16_t*>(row)[i]));
                break;
            case ActivationFormat::i16_32: {
                const ActivationBlock32& block = reinterpret_cast<const ActivationBlock32*>(row)[i / 32];
                out[i] = static_cast<double>(block.scale) * block.q(i % 32);
                break;
            }
            case ActivationFormat::i16_256: {
                const ActivationBlock256& block = reinterpret_cast<const ActivationBlock256*>(row)[i / 256];
                out[i] = static_cast<double>(block.scale) * block.q(i % 256);
                break;
            }
        }
    }
}

void matmul_reference(DType weights, ActivationFormat activations, const MatmulTask& task) noexcept {
    const DecodeKernel decode = decode_for(weights);
    std::vector<float> w(static_cast<size_t>(task.n_in));
    std::vector<double> x(w.size());
    for (int64_t t = 0; t < task.n_tokens; ++t) {
        decode_activations(activations, task.activations + t * task.activation_row_bytes, task.n_in, x.data());
        for (int64_t r = 0; r < task.n_rows; ++r) {
            decode(task.weights + r * task.weight_row_bytes, w.data(), task.n_in);
            double sum = 0;
            for (size_t i = 0; i < w.size(); ++i) sum += x[i] * static_cast<double>(w[i]);
            task.out[t * task.out_stride + r] = static_cast<float>(sum);
        }
    }
}

}  // namespace quern
