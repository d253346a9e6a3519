// How a text is to be read.
#pragma once

#include <cstddef>
#include <span>

namespace quern {

/// Bytes [begin, end) of a text.
struct TextRange {
    size_t begin = 0, end = 0;
};

/// How to read a text.
struct TokenizeOptions {
    bool add_special = true;                  ///< put BOS before and EOS after where the vocabulary asks for it
    bool parse_special = false;               ///< control tokens written in the text become tokens: for template text, never for a user's
    bool continues = false;                   ///< other text stands before it: SentencePiece puts no space there
    std::span<const TextRange> literal = {};  ///< parts, in order, where control tokens stay text even so: messages inside a template
};

}  // namespace quern
