// A model as the engine sees it: its sizes, its weights, and a forward pass written as a graph.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "gguf/gguf_file.h"
#include "graph/graph.h"
#include "graph/kv_cache.h"
#include "models/pooling.h"

namespace quern {

class Model {
  public:
    virtual ~Model() = default;

    virtual KvShape kv_shape() const = 0;
    virtual int64_t n_embd() const = 0;
    virtual int64_t n_vocab() const = 0;
    /// The window the model was trained for.
    virtual int64_t n_ctx_train() const = 0;
    /// The longest window that it can run with at all: learned positions end somewhere.
    virtual int64_t n_ctx_most() const { return INT32_MAX; }

    /// For models that give a vector for each token instead of logits: how a text's vector is made of them. All tokens of a text see each
    /// other, so they have to be computed in one batch. Nothing: a model that predicts tokens.
    virtual std::optional<Pooling> pooling() const { return std::nullopt; }

    /// The whole forward pass, from the batch's tokens to logits [n_outputs, n_vocab], or with pooling() to vectors [n_outputs, n_embd].
    /// @param n_ctx  the window that it will run with: some families turn positions differently in long ones
    virtual Graph build(int64_t n_ctx) const = 0;
};

/// Reads hyper-parameters and finds the weights; they stay in the mapped file, which must outlive the model.
/// @throws ModelError  for an unknown architecture (lists the known ones), a missing or mis-shaped tensor, an impossible hyper-parameter
std::unique_ptr<const Model> load_model(const GgufFile& file);

}  // namespace quern
