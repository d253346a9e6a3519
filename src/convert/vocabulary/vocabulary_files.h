// The older ways of storing a vocabulary: GPT-2's vocab.json with merges.txt, tiktoken's ranks, BERT's vocab.txt.
#pragma once

#include <string>
#include <string_view>

#include "convert/vocabulary/converted_vocabulary.h"

namespace quern {

/// @param merges  the text of merges.txt: a pair on each line, best first, and a first line that begins with #version
ConvertedVocabulary read_gpt2_files(std::string_view vocab_json, std::string_view merges, std::string_view path);

/// Lines of "base64 of the token's bytes, space, rank". Merges are found again by taking each token apart with the lower ranks.
ConvertedVocabulary read_tiktoken(std::string_view text, std::string_view path);

/// A piece on each line, in the order of their ids.
ConvertedVocabulary read_vocab_txt(std::string_view text, std::string_view path);

/// BERT's pieces as GGUF files have them: U+2581 before what begins a word, instead of ## before what goes on.
void mark_word_starts(ConvertedVocabulary& vocabulary);

}  // namespace quern
