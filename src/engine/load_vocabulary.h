// From the `tokenizer.*` keys of a GGUF file to a Vocabulary.
#pragma once

#include "gguf/gguf_file.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

/// The views point into the file, which must outlive the vocabulary. Empty when the file has no vocabulary ("no_vocab").
/// @throws ModelError  naming the key at fault
Vocabulary load_vocabulary(const GgufFile& file);

/// The tokenizer of a vocabulary from this file. @throws ModelError  naming the file and what is wrong with its vocabulary
std::unique_ptr<const Tokenizer> make_tokenizer(const GgufFile& file, Vocabulary vocabulary);

}  // namespace quern
