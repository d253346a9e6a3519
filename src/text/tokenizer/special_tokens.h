// Tokens that are found in a text as they are spelt, before anything else happens to it: control tokens and user-defined ones.
// Some take the white space around them with them, as tokenizer.json's lstrip and rstrip say.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/pair_table.h"
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
    /// Longer special pieces are not looked for: it bounds the work per byte of a text, and the longest real ones have about 50 bytes.
    static constexpr size_t longest_piece_bytes = 256;

    explicit SpecialTokens(const Vocabulary& vocabulary);

    /// Cuts the text at the leftmost, longest special tokens. Control tokens count only where options say so; user-defined ones always.
    /// Cost: linear in the text, times the length of the beginnings of special pieces in it (at most longest_piece_bytes).
    std::vector<Fragment> split(std::string_view text, const TokenizeOptions& options) const;

  private:
    /// What ends at a node of the trie; -1: nothing. Of two equal pieces of a kind the first counts.
    struct Node {
        int32_t control = -1, user_defined = -1;
    };
    struct Found {
        TokenId token;
        size_t n_bytes = 0;
    };

    void insert(std::string_view piece, int32_t token, bool control);
    bool strips(const std::vector<bool>& marks, TokenId token) const {
        return static_cast<size_t>(token.value) < marks.size() && marks[static_cast<size_t>(token.value)];
    }
    Found longest_at(std::string_view text, size_t at, size_t control_bytes) const;

    std::vector<Node> nodes_{1};
    PairTable children_;                               // (node, byte) -> node
    std::vector<bool> strips_before_, strips_behind_;  // by id; empty: none does
    std::array<int32_t, 256> by_first_byte_;           // root's children, since nearly every place of a text ends there; -1: none
};

}  // namespace quern
