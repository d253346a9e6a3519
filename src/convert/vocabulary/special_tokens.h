// What the small files beside a tokenizer say: which tokens begin and end, which are special, and the chat template.
#pragma once

#include <string>

#include "convert/vocabulary/converted_vocabulary.h"
#include "models/checkpoint_config.h"

namespace quern {

/// tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json, chat_template.jinja; each may be missing.
/// @throws ModelError  naming the file at fault
void read_special_tokens(const std::string& folder, const CheckpointConfig& config, ConvertedVocabulary& vocabulary);

}  // namespace quern
