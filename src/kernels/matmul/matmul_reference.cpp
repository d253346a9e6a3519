// The oracle of every matmul test: slow, in double, and without any knowledge of how kernels work.
#include <vector>

#include "kernels/matmul/activations.h"
#include "kernels/matmul/matmul.h"
#include "kernels/quant/decode.h"

namespace quern {
namespace {

// One row of activations as the values that the kernels see, exact in double.
std::vector<double> activation_values(ActivationFormat format, const std::byte* row, int64_t n) {
    std::vector<double> out(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
        double& x = out[static_cast<size_t>(i)];
        if (format == ActivationFormat::f32) {
            x = static_cast<double>(reinterpret_cast<const float*>(row)[i]);
        } else if (format == ActivationFormat::q8_32) {
            const ActivationBlock32& block = reinterpret_cast<const ActivationBlock32*>(row)[i / 32];
            x = static_cast<double>(block.scale) * block.q[i % 32];
        } else {
            const ActivationBlock256& block = reinterpret_cast<const ActivationBlock256*>(row)[i / 256];
            x = static_cast<double>(block.scale) * block.q[i % 256];
        }
    }
    return out;
}

}  // namespace

void matmul_reference(DType weights, const MatmulTask& task) noexcept {
    const DecodeKernel decode = decode_for(weights);
    std::vector<float> w(static_cast<size_t>(task.n_in));
    for (int64_t t = 0; t < task.n_tokens; ++t) {
        const std::vector<double> x =
            activation_values(activation_format(weights), task.activations + t * task.activation_row_bytes, task.n_in);
        for (int64_t r = 0; r < task.n_rows; ++r) {
            decode(task.weights + r * task.weight_row_bytes, w.data(), task.n_in);
            double sum = 0;
            for (size_t i = 0; i < w.size(); ++i) sum += x[i] * static_cast<double>(w[i]);
            task.out[t * task.out_stride + r] = static_cast<float>(sum);
        }
    }
}

}  // namespace quern
