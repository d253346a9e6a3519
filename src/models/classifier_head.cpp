#include "models/classifier_head.h"

#include <cmath>

#include "base/error.h"
#include "kernels/quant/decode.h"
#include "models/weights.h"

namespace quern {
namespace {

constexpr int64_t most_labels = 1 << 16;

std::vector<float> multiply(const TensorView& weight, const TensorView& bias, std::span<const float> x) {
    const int64_t n_rows = weight.shape.n_rows(), n_cols = weight.shape.n_cols();
    const uint64_t bytes = row_bytes(weight.dtype, static_cast<uint64_t>(n_cols));
    const DecodeKernel decode = decode_for(weight.dtype);
    std::vector<float> row(static_cast<size_t>(n_cols)), out(static_cast<size_t>(n_rows));
    for (int64_t i = 0; i < n_rows; ++i) {
        decode(weight.data + static_cast<uint64_t>(i) * bytes, row.data(), n_cols);
        double sum = bias.data ? static_cast<double>(bias.f32()[i]) : 0.0;
        for (size_t j = 0; j < row.size(); ++j) sum += static_cast<double>(row[j]) * static_cast<double>(x[j]);
        out[static_cast<size_t>(i)] = static_cast<float>(sum);
    }
    return out;
}

TensorView find_matrix(const GgufFile& file, const std::string& name, const Shape& shape) {
    const TensorView found = find_weight(file, name, shape, Presence::optional);
    if (found.data && !decode_for(found.dtype))
        throw ModelError(concat(file.path(), ": tensor ", name, " is ", dtype_name(found.dtype), ", which quern cannot run yet"));
    return found;
}

}  // namespace

std::optional<ClassifierHead> ClassifierHead::load(const GgufFile& file, int64_t n_embd) {
    const GgufTensor* out = file.find_tensor("cls.output.weight");
    ClassifierHead head;
    head.labels_ = !out || out->view.shape.rank() < 2 ? 1 : out->view.shape[0];
    if (head.labels_ < 1 || head.labels_ > most_labels)
        throw ModelError(concat(file.path(), ": tensor cls.output.weight has ", head.labels_, " rows, outside 1 to ", most_labels));
    head.out_ = find_matrix(file, "cls.output.weight", {head.labels_, n_embd});
    head.out_bias_ = find_weight(file, "cls.output.bias", {head.labels_}, Presence::optional);
    // Where there is no cls.output, as in Jina's first reranker, cls alone gives the score.
    const int64_t n_dense = head.out_.data ? n_embd : head.labels_;
    head.dense_ = find_matrix(file, "cls.weight", {n_dense, n_embd});
    head.dense_bias_ = find_weight(file, "cls.bias", {n_dense}, Presence::optional);
    if (!head.out_.data && !head.dense_.data) return std::nullopt;
    const std::string key = std::string(file.metadata().require_string("general.architecture")) + ".classifier.output_labels";
    const auto names = file.metadata().strings(key);
    if (static_cast<int64_t>(names.size()) == head.labels_) head.names_.assign(names.begin(), names.end());
    return head;
}

std::vector<float> ClassifierHead::scores(std::span<const float> first) const {
    std::vector<float> hidden(first.begin(), first.end());
    if (dense_.data) {
        hidden = multiply(dense_, dense_bias_, hidden);
        for (float& value : hidden) value = std::tanh(value);
    }
    return out_.data ? multiply(out_, out_bias_, hidden) : hidden;
}

}  // namespace quern
