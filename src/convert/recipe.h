// Which format each tensor of a model gets under a recipe such as Q4_K_M: more bits where errors hurt most (the output, values and
// down projections, the first and last layers), so that files of one name are the same everywhere.
// Source: the rules that llama.cpp's quantize tool follows (checked against its output in tests/e2e/test_quantize.py).
#pragma once

#include <string>
#include <string_view>

#include "convert/quantize_type.h"
#include "gguf/gguf_file.h"

namespace quern {

/// What a recipe asks of the model as a whole.
struct ModelFacts {
    std::string architecture;
    int64_t n_layers = 0;
    int64_t heads_per_kv_head = 1;
    int64_t n_experts = 0;
    bool has_output = false;  ///< else the token embedding is the output too
    bool is_70b = false;      ///< 80 layers with 8 heads to each value: those are worth more bits
};
ModelFacts model_facts(const GgufFile& file);

struct Recipe {
    QuantizeType type;
    ModelFacts model;
    bool has_importance = false;

    /// The format for a tensor of two or more dimensions, before any fallback for the length of its rows.
    /// @param n_cols  of its rows  @param n_matrices  3-dimensional tensors hold one for each expert
    DType dtype_for(std::string_view name, int64_t n_cols, int64_t n_matrices) const;
};

/// What takes the place of a format whose blocks do not divide a row of n_cols.
DType dtype_that_fits(DType wanted, int64_t n_cols);

/// The format cannot be made without an importance matrix (for this tensor, under this recipe).
bool needs_importance(DType dtype, FileType file_type, std::string_view tensor);

}  // namespace quern
