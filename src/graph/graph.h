// A forward pass as a list of plain operations over rows of f32. Models write it once; fusion.h lowers it to the phases a device runs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/operations.h"
#include "kernels/activation/activation.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "tensor/tensor_view.h"

namespace quern {

/// A value of the graph: one row for each token of the batch (or each output row), [n_rows, n_heads * head_dim]. A handle, cheap to copy.
struct Tensor {
    int32_t id = -1;
    int n_heads = 1;  ///< how heads() divides a row
    bool valid() const noexcept { return id >= 0; }
};

/// Rotary embedding shared by the layers of a model; the executor computes its angles once for each batch.
struct Rope {
    RopeFrequencies frequencies;
    RopeStyle style = RopeStyle::adjacent;
};

enum class Op : uint8_t {
    embed,
    embed_positions,
    embed_types,
    norm,
    matmul,
    add_bias,
    add,
    multiply,
    scale,
    activate,
    rope,
    attend,
    experts,
    slice_heads,
    join_heads,
    head_matmul,
    select_outputs
};

/// How attention scores: see AttentionTask for the formulas.
struct Attention {
    float scale = 1;
    int64_t window = 0;  ///< how many positions a token sees, its own included; 0: all
    float softcap = 0;   ///< 0: none
    TensorView sinks;    ///< [n_heads] f32, or no data
    bool causal = true;
};

/// What an adapter adds beside a matrix: factor * scale * b a x. Not owned.
struct AdapterFactors {
    const float* a = nullptr;  ///< [rank, n_in]; for each expert where there are some; of a table of embeddings, [n_vocab, rank]
    const float* b = nullptr;  ///< [rank, n_out], for each expert likewise
    int64_t rank = 0;
    int64_t b_stride = 0;  ///< values from one row of b to the next
    float factor = 1;
    int adapter = 0;  ///< whose scale counts, see Batch
};
using AdapterList = std::vector<AdapterFactors>;

struct Node {
    Op op = Op::embed;
    int32_t inputs[3] = {-1, -1, -1};
    TensorView weight;
    int64_t n_cols = 0;        ///< values in a row
    bool output_rows = false;  ///< one row for each row that wants logits, instead of each token
    float scalar = 0;          ///< norm: eps; scale: the factor
    int64_t first = 0;         ///< slice_heads: of each head
    NormKind norm = NormKind::rms;
    TensorView bias;  ///< of a layer norm; may have no data
    Activation activation;
    Attention attention;
    int n_heads = 0, n_kv_heads = 0, head_dim = 0;
    int layer = -1;        ///< attend: whose cache
    int rope = -1;         ///< index into ropes()
    int experts = -1;      ///< index into experts()
    AdapterList adapters;  ///< of matmul and embed
};

/// A layer of experts: its matrices, and who takes which token.
struct Experts {
    ExpertWeights weights;
    Routing routing;
    AdapterList gate_adapters, up_adapters, down_adapters;
};

/// Builder and result. Shapes are checked as nodes are added: QUERN_CHECK, since models have checked their weights against the file.
class Graph {
  public:
    /// Rows of the table for the batch's tokens. @param table [n_vocab, n_embd]
    Tensor embed(const TensorView& table);
    /// Rows of the table for the tokens' positions; positions past its end take the last row, so the window should not go there.
    Tensor embed_positions(const TensorView& table);
    /// Rows of the table for the tokens' types, 0 where the batch names none; types past its end take the last row.
    Tensor embed_types(const TensorView& table);
    /// @param weight  [n] f32; a row that holds several heads of n is normed head by head
    Tensor rms_norm(Tensor x, const TensorView& weight, float eps);
    /// @param bias  like weight, or without data
    Tensor layer_norm(Tensor x, const TensorView& weight, const TensorView& bias, float eps);
    /// @param weight  [n_out, n_in], any DType
    Tensor matmul(const TensorView& weight, Tensor x);
    /// @param bias  [n] f32
    Tensor add_bias(Tensor x, const TensorView& bias);
    Tensor add(Tensor a, Tensor b);
    /// @param b  as wide as a, or one value for each row of a
    Tensor multiply(Tensor a, Tensor b);
    Tensor scale(Tensor x, float factor);
    Tensor activate(Tensor x, Activation activation);
    Tensor silu(Tensor x) { return activate(x, {ActivationKind::silu}); }
    /// The same rows, seen as n_heads heads.
    Tensor heads(Tensor x, int n_heads) const;
    /// Values [first, first + n) of each head.
    Tensor slice_heads(Tensor x, int64_t first, int64_t n);
    /// Each head of a, continued by that of b.
    Tensor join_heads(Tensor a, Tensor b);
    /// Each head through a matrix of its own. @param weight  [n_heads, n_out, n_in], any DType
    Tensor head_matmul(const TensorView& weight, Tensor x);
    /// Declares a rotary embedding; give the result to rope().
    int add_rope(Rope rope);
    Tensor rope(Tensor x, int rope);
    /// Attention over the cache of `layer`, to which this batch's k and v are added first. k may be v too: then the cache holds keys only.
    Tensor attend(Tensor q, Tensor k, Tensor v, int layer, const Attention& attention);
    /// Each row through the experts that the router's logits choose. @param logits  [n_tokens, n_experts]
    Tensor experts(Tensor x, Tensor logits, const Experts& experts);
    /// Only the rows that want logits.
    Tensor select_outputs(Tensor x);
    /// Reads `instead` wherever the weight at `data` was read. @param instead  of the same shape, any DType
    void replace_weight(const std::byte* data, const TensorView& instead);
    /// Adds to all that is computed with the matrix `weight`, or with parts of its rows.
    /// @param reader  Op::embed for a table of embeddings; Op::matmul for what matrices and experts multiply
    /// @return the number of places where it is read: 0 if nothing was done
    int adapt(const TensorView& weight, Op reader, const AdapterFactors& factors);
    /// Names the result of the graph: the logits.
    void set_result(Tensor x) { result_ = x.id; }

    std::span<const Node> nodes() const noexcept { return nodes_; }
    const Node& node(int32_t id) const { return nodes_[static_cast<size_t>(id)]; }
    std::span<const Rope> ropes() const noexcept { return ropes_; }
    std::span<const Experts> experts() const noexcept { return experts_; }
    /// Every tensor that a node reads as a matrix, in the format of the file.
    std::vector<TensorView> matrices(const Node& node) const;
    /// Bytes of weights that one token reads at this node.
    uint64_t weight_bytes_per_token(const Node& node) const;
    int32_t result() const noexcept { return result_; }

  private:
    Tensor append(Node node, int n_heads = 1);
    Tensor norm(Tensor x, Node node);

    std::vector<Node> nodes_;
    std::vector<Rope> ropes_;
    std::vector<Experts> experts_;
    int32_t result_ = -1;
};

}  // namespace quern
