// What SentencePiece's two models, BPE and Unigram, have in common: pieces that spell a space as U+2581, and bytes for what is in no piece.
// Source: Kudo, Richardson 2018 (SentencePiece).
#pragma once

#include <array>
#include <cstdint>

#include "text/tokenizer/tokenizer.h"

namespace quern {

class SentencePiecePieces : public Tokenizer {
  public:
    std::string token_bytes(TokenId token, bool render_special) const override;
    std::string detokenize(std::span<const TokenId> tokens, bool render_special) const override;
    bool adds_space_prefix() const noexcept override { return adds_space_prefix_; }

  protected:
    static constexpr std::string_view space_mark = "\xE2\x96\x81";  // U+2581

    /// @throws ModelError  when there are texts that could become no tokens, or not a score for each piece
    explicit SentencePiecePieces(Vocabulary vocabulary);

    /// What is in no piece: a token for each byte, or where one is missing, the unknown token, once for a whole run.
    void append_unknown(std::string_view text, bool after_unknown, std::vector<TokenId>& tokens) const;
    /// Where the next space mark behind another character begins, or the end.
    static size_t word_end(std::string_view text, size_t at);

    bool adds_space_prefix_;
    size_t longest_piece_ = 0;     // of those that texts become
    bool words_are_apart_ = true;  // no piece has a space mark behind another character, so none crosses the start of a word

  private:
    void check_bytes();

    std::array<int32_t, 256> byte_tokens_;  // -1: none
};

}  // namespace quern
