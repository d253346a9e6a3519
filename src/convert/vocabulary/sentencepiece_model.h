// Reads SentencePiece's tokenizer.model: a protocol buffer, of which a few fields matter here.
// Source: sentencepiece_model.proto (field numbers), the protocol buffer encoding.
#pragma once

#include <cstddef>
#include <span>

#include "convert/vocabulary/converted_vocabulary.h"

namespace quern {

/// @throws ModelError  "PATH: ..." when a field reaches beyond its message or a piece is no text
ConvertedVocabulary read_sentencepiece_model(std::span<const std::byte> file, std::string_view path);

}  // namespace quern
