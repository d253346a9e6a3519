// What the encoders have in common: all tokens of a text see each other, and the result is a vector for each of them.
#pragma once

#include <optional>

#include "models/classifier_head.h"
#include "models/layers/decoder_config.h"
#include "models/model.h"

namespace quern {

/// Families derive from this and write build_vectors().
class Encoder : public Model {
  public:
    /// @throws ModelError
    explicit Encoder(const GgufFile& file);

    KvShape kv_shape() const override { return config_.kv_shape(); }
    int64_t n_embd() const override { return config_.n_embd; }
    int64_t n_vocab() const override { return config_.n_vocab; }
    int64_t n_ctx_train() const override { return config_.n_ctx_train; }
    bool predicts_tokens() const override { return false; }
    std::optional<Pooling> pooling() const override { return pooling_; }
    const ClassifierHead* head() const override { return head_ ? &*head_ : nullptr; }
    Graph build(int64_t n_ctx) const override { return build_vectors(n_ctx); }

  protected:
    const DecoderConfig config_;

  private:
    const std::optional<ClassifierHead> head_;
    const Pooling pooling_;
};

/// Hyper-parameters, checked for what encoders are. @throws ModelError
DecoderConfig read_encoder_config(const GgufFile& file);
/// Rows of the table of token types: `tokenizer.ggml.token_type_count`. @throws ModelError
int64_t read_token_types(const GgufFile& file);

}  // namespace quern
