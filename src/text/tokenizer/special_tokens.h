// Tokens that are found in a text as they are spelt, before anything else happens to it: control tokens and user-defined ones.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenize_options.h"
#include "text/tokenizer/vocabulary.h"

namespace quern {

/// A part of a text: a special token, or ordinary text (token.value < 0).
struct Fragment {
    std::string_view text;
    TokenId token;
};

/// A trie over the special pieces. Immutable.
class SpecialTokens {
  public:
    explicit SpecialTokens(const Vocabulary& vocabulary);

    /// Cuts the text at the leftmost, longest special tokens. Control tokens count only where options say so; user-defined ones always.
    /// Cost: linear in the text, times the length of the longest special piece in the worst case.
    std::vector<Fragment> split(std::string_view text, const TokenizeOptions& options) const;

  private:
    struct Node {
        int32_t first_child = -1, next_sibling = -1;
        TokenId token;  // of the piece that ends here
        bool control = false;
        char byte = 0;
    };
    struct Found {
        TokenId token;
        size_t n_bytes = 0;
    };

    void insert(std::string_view piece, TokenId token, bool control);
    int32_t child(int32_t node, char byte) const;
    Found longest_at(std::string_view text, size_t at, bool control) const;

    std::vector<Node> nodes_{1};
    std::vector<int32_t> by_first_byte_;  // root's children, since nearly every place of a text ends there
};

}  // namespace quern
