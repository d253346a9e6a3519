// The work a device can be asked for: one struct per phase of a forward pass. Weights, activations and caches are memory of that device,
// all activations f32; what the executor makes anew for each batch (token ids, page tables, angles, scales) is the host's. The graph's
// executor fills these in; it has checked every shape once, so devices check nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/activation/activation.h"
#include "kernels/attention/attention.h"
#include "kernels/moe/routing.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/token_kernels.h"
#include "tensor/tensor_view.h"

namespace quern {

/// Rows of f32 with a distance between them.
struct Rows {
    float* data = nullptr;
    int64_t stride = 0;  ///< in values
};

/// What an adapter adds beside a matrix: out[t] += factor * scales[t] * b a x[t]. Tokens of scale 0 are left alone.
struct LowRank {
    const float* a = nullptr;  ///< [rank, n_in]; for each expert where there are some; of a table of embeddings, [n_vocab, rank]
    const float* b = nullptr;  ///< [rank, n_out], transposed so that a part of the outputs is a part of each row; for each expert likewise
    int64_t rank = 0;
    int64_t b_stride = 0;  ///< values from one row of b to the next
    float factor = 1;
    const float* scales = nullptr;  ///< [n_tokens]
};

/// out[t] = table[tokens[t]], decoded. Position embeddings give positions for tokens.
struct EmbedOperation {
    TensorView table;  ///< [n_vocab, n_embd]
    std::span<const int32_t> tokens;
    Rows out;
    std::span<const LowRank> adapters;
};

/// out[t] = norm(x[t]), over groups of the weight's size: a row may hold several heads.
struct NormOperation {
    Norm norm;
    int64_t n = 0;         ///< size of the weight
    int64_t n_groups = 1;  ///< per row
    int64_t n_rows = 0;
    Rows x, out;
    float* add_to = nullptr;  ///< add_to[t * out.stride + i] += result
};

/// The pages of one layer and where each token of the batch goes.
struct KvTarget {
    KvPages pages;
    std::span<const int64_t> slots;  ///< per token: page * kv_page_tokens + place in the page
};

/// One matrix of a linear phase and what happens to its rows while they are in cache, in this order: bias, head norm,
/// activation, rope, store, add.
struct LinearOutput {
    TensorView weight;            ///< [n_out, n_in]
    const float* bias = nullptr;  ///< [n_out]
    Rows out;                     ///< [n_tokens, n_out]; scratch where the result goes elsewhere
    Norm head_norm;               ///< of each head
    Activation activation;
    bool rope = false;                  ///< turn heads by LinearOperation::angles
    const KvTarget* store = nullptr;    ///< write into the cache, as its type asks
    float* add_to = nullptr;            ///< add_to[t * out.stride + r] += result
    std::span<const LowRank> adapters;  ///< added before all that
};

/// Matrices that one linear phase may multiply its input with.
inline constexpr size_t most_linear_outputs = 4;

/// Up to so many matrices that read the same input: out = epilogue(norm(x) * weight^T).
struct LinearOperation {
    TokenKernels kernels = TokenKernels::many;
    int64_t n_tokens = 0;
    Rows x;     ///< [n_tokens, n_in]
    Norm norm;  ///< of x first
    std::span<const LinearOutput> outputs;
    std::optional<Gating> gating;   ///< two outputs, the gate first: outputs[0].out = both joined
    int head_dim = 0;               ///< for head norm, rope and store
    const float* angles = nullptr;  ///< [n_tokens, rope_dims], see rope_angles()
    int rope_dims = 0;
    RopeStyle rope_style = RopeStyle::adjacent;
};

/// The part of a batch that belongs to one sequence: consecutive positions.
struct SequenceSpan {
    int64_t first_token = 0;  ///< row in the batch
    int64_t n_tokens = 0;
    int64_t first_position = 0;
    const int32_t* page_table = nullptr;
    const int32_t* window_page_table = nullptr;  ///< of the layers that keep only a window: read from the page of the window's begin on
};

/// Attention of every sequence of the batch over its own pages. Keys and values of the batch are already stored.
struct AttentionOperation {
    TokenKernels kernels = TokenKernels::many;
    Rows q;    ///< [n_tokens, n_heads * head_dim]
    Rows out;  ///< likewise
    KvPages keys, values;
    std::span<const SequenceSpan> sequences;
    int64_t n_tokens = 0;
    int n_heads = 0, n_kv_heads = 0, head_dim = 0;
    float scale = 1;
    int64_t window = 0;            ///< 0: none
    float softcap = 0;             ///< 0: none
    const float* sinks = nullptr;  ///< [n_heads], or nullptr
    bool causal = true;
};

/// Turns heads in place.
struct RopeOperation {
    Rows x;
    int64_t n_tokens = 0;
    int n_heads = 0, head_dim = 0;
    const float* angles = nullptr;
    int rope_dims = 0;
    RopeStyle style = RopeStyle::adjacent;
};

/// Writes rows into the cache.
struct StoreOperation {
    Rows x;
    int64_t n_tokens = 0;
    int n_kv_heads = 0, head_dim = 0;
    KvTarget target;
};

enum class Elementwise : uint8_t {
    add,            ///< out = a + b
    add_bias,       ///< out = a + b, b one row for all
    multiply,       ///< out = a * b
    multiply_rows,  ///< out = a * b, b one value for each row
    scale,          ///< out = a * factor
    activate,       ///< out = activation(a)
    copy,           ///< out = a
};

struct ElementwiseOperation {
    Elementwise kind = Elementwise::copy;
    int64_t n_rows = 0, n_cols = 0;
    Rows a, b, out;  ///< out may be a or b
    Activation activation;
    float factor = 1;
};

/// The matrices of a mixture of experts: for each expert, [n_ff, n_embd], [n_ff, n_embd] and [n_embd, n_ff].
struct ExpertWeights {
    TensorView gate, up;                       ///< [n_experts, n_ff, n_embd]
    TensorView down;                           ///< [n_experts, n_embd, n_ff]
    TensorView gate_bias, up_bias, down_bias;  ///< [n_experts, n] f32, or no data
    Gating gating = Gating::silu;
};

/// What adapters add to each of these.
struct ExpertAdapters {
    std::span<const LowRank> gate, up, down;
};

/// A feed-forward layer of experts: out[t] = sum over the chosen experts of weight * down (gating(gate x[t], up x[t])).
struct ExpertsOperation {
    TokenKernels kernels = TokenKernels::many;
    ExpertWeights weights;
    Routing routing;
    int64_t n_tokens = 0;
    Rows x;                   ///< [n_tokens, n_embd]
    Rows logits;              ///< [n_tokens, n_experts], the router's
    Rows out;                 ///< [n_tokens, n_embd]
    float* add_to = nullptr;  ///< add_to[t * out.stride + i] += result
    ExpertAdapters adapters;
};

/// out[t, h, i] = x[t, h, i] for i < n: a part of each head, the heads of a row at equal distances in both.
struct CopyHeadsOperation {
    Rows x, out;
    int64_t n_rows = 0;
    int n_heads = 0;
    int64_t n = 0;
};

/// out[i] = x[rows[i]].
struct SelectRowsOperation {
    Rows x, out;
    std::span<const int32_t> rows;
    int64_t n_cols = 0;
};

}  // namespace quern
