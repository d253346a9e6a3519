// BERT's WordPiece: clean, lower-case (but for cased models) and split into words, then take the longest pieces from the left.
// Source: Devlin et al. 2018 (BERT). GGUF files mark the start of a word with U+2581, others its continuations with "##".
#pragma once

#include <string>

#include "text/tokenizer/tokenizer.h"

namespace quern {

class WordPiece final : public Tokenizer {
  public:
    explicit WordPiece(Vocabulary vocabulary);

    std::string token_bytes(TokenId token, bool render_special) const override;
    std::string detokenize(std::span<const TokenId> tokens, bool render_special) const override;

  private:
    void append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const override;
    void append_word(std::string_view word, size_t n_characters, std::vector<TokenId>& tokens) const;
    std::optional<TokenId> first_token() const override { return vocabulary_.cls ? vocabulary_.cls : vocabulary_.bos; }
    std::optional<TokenId> last_token() const override { return vocabulary_.sep ? vocabulary_.sep : vocabulary_.eos; }

    std::optional<TokenId> pair_token() const override { return std::nullopt; }  // one separator is enough

    bool lowercase_, strip_accents_, chinese_characters_apart_;
    std::string_view start_mark_, inner_mark_;  // one of them is empty
    size_t longest_piece_ = 0;
};

}  // namespace quern
