// Reads tokenizer.json, the format of Hugging Face's tokenizers: BPE (of bytes, or as SentencePiece does it), WordPiece, Unigram.
#pragma once

#include <functional>

#include <nlohmann/json_fwd.hpp>

#include "convert/vocabulary/converted_vocabulary.h"

namespace quern {

/// What a user should know of a tokenizer that GGUF cannot express in full.
using VocabularyWarning = std::function<void(const std::string&)>;

/// @throws ModelError  "PATH: ..." naming the entry at fault
ConvertedVocabulary read_tokenizer_json(const nlohmann::json& json, std::string_view path, const VocabularyWarning& warn);

/// `added_tokens` of a tokenizer.json: [{id, content, special}].
void read_added_tokens(const nlohmann::json& list, std::string_view path, ConvertedVocabulary& out);

/// Pairs "left right", or [left, right], best first.
std::vector<std::string> read_merges(const nlohmann::json& list, std::string_view path);

/// {piece: id}. All become tokens of the type normal.
void read_piece_ids(const nlohmann::json& map, std::string_view path, ConvertedVocabulary& out);

}  // namespace quern
