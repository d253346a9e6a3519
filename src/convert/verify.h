// Is a model file sound, and how does it differ from another? Reads every value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "gguf/gguf_file.h"

namespace quern {

struct TensorCheck {
    const GgufTensor* tensor = nullptr;
    std::string sha256;         ///< of its bytes, hexadecimal
    bool is_decoded = false;    ///< quern can read the format, and the figures below hold
    int64_t n_not_finite = 0;   ///< values that are NaN or infinite
    int64_t first_bad = -1;     ///< index of the first of them
    float least = 0, most = 0;  ///< of the finite values
    double rms = 0;             ///< of the finite values

    bool is_broken() const { return n_not_finite > 0; }
    /// Weights of trained models stay far below this: a scale is damaged, or the file is.
    static constexpr float suspicious_value = 1e4f;
    bool is_suspicious() const { return is_decoded && std::max(-least, most) > suspicious_value; }
    /// A matrix of one value only: nothing was learned or all was lost.
    bool is_constant() const { return is_decoded && tensor->view.shape.n_values() > 1 && n_not_finite == 0 && least == most; }
};

/// Every tensor in the order of the file. Cost: one pass over the file on all threads.
std::vector<TensorCheck> check_tensors(const GgufFile& file, ThreadPool& pool);

struct TensorDifference {
    std::string name;
    enum class Kind { only_here, only_there, shape, format, values } kind = Kind::values;
    const GgufTensor *here = nullptr, *there = nullptr;
    bool is_compared = false;                      ///< both are decoded, and the figures below hold
    int64_t n_different = 0;                       ///< values
    double max_difference = 0, rmse = 0, rms = 0;  ///< absolute; rms is that of the values here
};

/// Tensors that are not the same bytes of the same format and shape.
std::vector<TensorDifference> compare_tensors(const GgufFile& here, const GgufFile& there, ThreadPool& pool);
/// Keys that one of them lacks or that have other values.
std::vector<std::string> compare_keys(const GgufFile& here, const GgufFile& there);

}  // namespace quern
