// The head of a cross-encoder: scores of a pair of texts from the vector of its first token, out * tanh(dense * x + b) + b, or out alone.
// Source: Devlin et al. 2018 (BERT's pooler and classifier); Liu et al. 2019 (RoBERTa's classification head).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"

namespace quern {

/// Views into the file, which must outlive it. One row for each text is so little work that the host does it.
class ClassifierHead {
  public:
    /// `cls.weight` and `cls.output.weight` with their biases; nothing if the file has none of them.
    /// @throws ModelError  when one has another shape, or a type that quern cannot decode
    static std::optional<ClassifierHead> load(const GgufFile& file, int64_t n_embd);

    int64_t n_labels() const { return labels_; }
    /// Names of the scores, from the file; may be empty.
    const std::vector<std::string>& label_names() const { return names_; }
    /// @param first  [n_embd]
    /// @return [n_labels]
    std::vector<float> scores(std::span<const float> first) const;

  private:
    TensorView dense_, dense_bias_, out_, out_bias_;
    int64_t labels_ = 0;
    std::vector<std::string> names_;
};

}  // namespace quern
