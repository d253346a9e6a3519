// What the checkpoints of encoders have in common.
#pragma once

#include <string>
#include <vector>

#include "models/checkpoint.h"

namespace quern {

/// `tokenizer.ggml.token_type_count`, from type_vocab_size.
void set_token_types(const CheckpointKeys& keys);

/// The names of a classifier's scores, by id2label or num_labels, or two as transformers has it. @throws ModelError
std::vector<std::string> label_names(const CheckpointConfig& config);

/// `classifier.output_labels`, and the pooling that scores pairs.
void set_labels(const CheckpointKeys& keys);

}  // namespace quern
