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

class ClassifierHead;

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

    /// False: the model makes vectors of texts and nothing else. All tokens of a text see each other, so they have to be computed in one
    /// batch.
    virtual bool predicts_tokens() const { return true; }
    /// How the file wants a text's vector made of its tokens'; nothing if it does not say.
    virtual std::optional<Pooling> pooling() const { return std::nullopt; }
    /// What scores pairs of texts, or nullptr.
    virtual const ClassifierHead* head() const { return nullptr; }

    /// The whole forward pass, from the batch's tokens to logits [n_outputs, n_vocab]; of models that predict none, build_vectors().
    /// @param n_ctx  the window that it will run with: some families turn positions differently in long ones
    virtual Graph build(int64_t n_ctx) const = 0;
    /// The same, up to the vectors that logits are made of, [n_outputs, n_embd].
    virtual Graph build_vectors(int64_t n_ctx) const = 0;
};

/// Reads hyper-parameters and finds the weights; they stay in the mapped file, which must outlive the model.
/// @throws ModelError  for an unknown architecture (lists the known ones), a missing or mis-shaped tensor, an impossible hyper-parameter
std::unique_ptr<const Model> load_model(const GgufFile& file);

}  // namespace quern
