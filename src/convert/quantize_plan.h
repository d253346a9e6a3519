// What quantizing will do to each tensor, known and checked before any work begins.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convert/name_pattern.h"
#include "convert/recipe.h"
#include "gguf/gguf_file.h"

namespace quern {

/// For each weight by name: the importance of its input columns, n_cols values, or n_cols for each of its matrices.
using Importance = std::map<std::string, std::vector<float>, std::less<>>;

struct QuantizeOptions {
    QuantizeType type;
    bool pure = false;              ///< every tensor in the type's own format
    bool copy = false;              ///< every tensor stays as it is
    bool leave_output = false;      ///< output.weight stays as it is
    bool allow_requantize = false;  ///< the source may be quantized already, and loses again
    std::optional<DType> output_dtype, embedding_dtype;
    /// The first pattern that is found in a tensor's name decides.
    struct Override {
        NamePattern pattern;
        DType dtype;
    };
    std::vector<Override> overrides;
    const Importance* importance = nullptr;  ///< must outlive the plan
    /// Formats that were chosen tensor by tensor: they go before the recipe, and after what the user asks for by name.
    const std::map<std::string, DType, std::less<>>* chosen = nullptr;
};

struct PlannedTensor {
    const GgufTensor* source = nullptr;
    DType dtype = DType::f32;
    bool is_free = false;    ///< neither kept as it is nor asked for by name: the recipe decides
    bool fell_back = false;  ///< the wanted format's blocks do not divide its rows
    DType wanted = DType::f32;
    std::span<const float> importance;
    /// Where the source has no data of its own: fills row i with f32 values. From any thread; must not throw.
    std::function<void(int64_t row, float* out)> read_row = {};
    /// The same for a source that is in the format `source` says: fills row i with its blocks, to be written as they are.
    std::function<void(int64_t row, std::byte* out)> read_bytes = {};

    uint64_t bytes() const;
    bool is_copied() const { return dtype == source->view.dtype && !read_row; }
};

/// Matrices of weights. What is small and touchy (norms, expert gates, positions, convolutions) stays as it is.
bool is_quantized_by_recipes(const GgufTensor& tensor);

/// In the order of the file, which must outlive it.
/// @throws InvalidInput  when a choice cannot be made, naming the tensor and what to do, or when an override is for no tensor
/// @throws ModelError    when the importance matrix does not fit
std::vector<PlannedTensor> plan_quantize(const GgufFile& file, const QuantizeOptions& options);

}  // namespace quern
