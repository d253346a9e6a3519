// How much of a tensor a format loses, from a sample of its rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/gguf_file.h"

namespace quern {

/// Evenly spaced rows of a tensor, decoded. Immutable: any thread.
class SampledRows {
  public:
    /// @param encode_weights  what the encoder will be told of the columns: n_cols values, n_cols for each matrix, or none
    /// @param error_weights   what errors are weighed by, likewise
    /// @throws ModelError  when a value is not finite. REQUIRES: the tensor's format can be decoded
    SampledRows(const GgufTensor& tensor, std::span<const float> encode_weights, std::span<const float> error_weights);

    /// Weighted sum of squared errors over the weighted sum of squares; 0 for a tensor of zeros. REQUIRES: the format can be encoded and
    /// divides the rows.
    double relative_error(DType dtype) const;

  private:
    struct Row {
        const float* encode_weights;
        const float* error_weights;
    };

    int64_t n_cols_ = 0;
    std::vector<float> values_;
    std::vector<Row> rows_;
};

}  // namespace quern
