#include "convert/encode_error.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/quant/decode.h"
#include "kernels/quant/encode.h"

namespace quern {
namespace {

constexpr int64_t sample_values = 1 << 15, least_rows = 16;

const float* weights_of_row(std::span<const float> weights, int64_t matrix, int64_t n_cols) {
    if (weights.empty()) return nullptr;
    return weights.data() + (static_cast<int64_t>(weights.size()) == n_cols ? 0 : matrix * n_cols);
}

}  // namespace

SampledRows::SampledRows(const GgufTensor& tensor, std::span<const float> encode_weights, std::span<const float> error_weights)
    : n_cols_(tensor.view.shape.n_cols()) {
    const Shape& shape = tensor.view.shape;
    const int64_t n_rows = shape.n_rows(), rows_per_matrix = shape.rank() >= 2 ? std::max<int64_t>(1, shape[shape.rank() - 2]) : 1;
    const int64_t n_sampled = std::min(n_rows, std::max(least_rows, sample_values / std::max<int64_t>(1, n_cols_)));
    const auto bytes = static_cast<int64_t>(row_bytes(tensor.view.dtype, static_cast<uint64_t>(n_cols_)));
    const DecodeKernel decode = decode_for(tensor.view.dtype);
    values_.resize(static_cast<size_t>(n_sampled * n_cols_));
    for (int64_t i = 0; i < n_sampled; ++i) {
        const int64_t row = (2 * i + 1) * n_rows / (2 * n_sampled), matrix = row / rows_per_matrix;
        decode(tensor.view.data + row * bytes, values_.data() + i * n_cols_, n_cols_);
        rows_.push_back({weights_of_row(encode_weights, matrix, n_cols_), weights_of_row(error_weights, matrix, n_cols_)});
    }
    if (!std::all_of(values_.begin(), values_.end(), [](float v) { return std::isfinite(v); }))
        throw ModelError(concat(tensor.name, " holds a value that is not finite: the model is broken, and would be so in any format"));
}

double SampledRows::relative_error(DType dtype) const {
    const EncodeKernel encode = encode_for(dtype, best_isa());
    const DecodeKernel decode = decode_for(dtype);
    std::vector<std::byte> encoded(static_cast<size_t>(row_bytes(dtype, static_cast<uint64_t>(n_cols_))));
    std::vector<float> decoded(static_cast<size_t>(n_cols_));
    double error = 0, power = 0;
    for (size_t r = 0; r < rows_.size(); ++r) {
        const float* x = values_.data() + static_cast<int64_t>(r) * n_cols_;
        encode(x, rows_[r].encode_weights, n_cols_, encoded.data());
        decode(encoded.data(), decoded.data(), n_cols_);
        for (size_t i = 0; i < decoded.size(); ++i) {
            const double weight = rows_[r].error_weights ? static_cast<double>(rows_[r].error_weights[i]) : 1.0;
            const double value = static_cast<double>(x[i]), lost = static_cast<double>(decoded[i]) - value;
            error += weight * lost * lost;
            power += weight * value * value;
        }
    }
    return power > 0 ? error / power : 0;
}

}  // namespace quern
