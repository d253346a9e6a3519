// A family's table of weights: each row names a tensor in GGUF and in Hugging Face checkpoints, and says which shape it must have.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gguf/gguf_file.h"
#include "tensor/tensor_view.h"

namespace quern {

enum class Presence : uint8_t { required, optional };

/// How GGUF holds what a Hugging Face checkpoint has under that name.
enum class HfForm : uint8_t {
    same,
    transposed,     ///< GPT-2 keeps [n_in, n_out]
    plus_one,       ///< Gemma's norms multiply by 1 + weight
    rotary_rows_q,  ///< Llama's rows of q, brought into the order of adjacent rotary pairs
    rotary_rows_k,
    stacked,        ///< one tensor for each expert, at "{}" in the name
    even_rows,      ///< gpt-oss: every second column of [n_experts, n_in, 2 n_out], transposed; of a bias [n_experts, 2 n_out] every second
                    ///< value
    odd_rows,       ///< the others
    latent_keys,    ///< DeepSeek: of [n_heads, nope_dim + value_dim, kv_rank] the first part of each head, transposed
    latent_values,  ///< the second part of each head
};

/// `Owner` is the struct that holds the views. Vectors (norms, biases, frequency factors) must be F32 in GGUF, as every writer stores them.
template <typename Owner>
struct WeightRow {
    TensorView Owner::*field;
    std::string_view gguf;  ///< without the layer's prefix
    std::string_view hf;
    Shape shape;
    Presence presence = Presence::required;
    HfForm form = HfForm::same;
};

/// The tensor, or a view without data when it is optional and absent.
/// @throws ModelError  when it is missing, or its shape or type is not as the table says
TensorView find_weight(const GgufFile& file, const std::string& name, const Shape& shape, Presence presence);

/// Rows [first, first + n) of a matrix or values of a vector: one part of several that a checkpoint keeps in one tensor.
TensorView rows_of(const TensorView& whole, int64_t first, int64_t n);

/// Fills `owner` from the file. @param prefix  "" or "blk.7."
template <typename Owner>
void load_weights(const GgufFile& file, std::span<const WeightRow<Owner>> rows, const std::string& prefix, Owner& owner) {
    for (const WeightRow<Owner>& row : rows) owner.*row.field = find_weight(file, prefix + std::string(row.gguf), row.shape, row.presence);
}

}  // namespace quern
