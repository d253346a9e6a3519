// SentencePiece's BPE as Llama uses it: spaces become U+2581, neighbours merge by score, what is in no piece falls back to bytes.
// Where the file lists the merges themselves, as tokenizer.json does, those decide instead of the scores.
// Source: Kudo, Richardson 2018 (SentencePiece).
#pragma once

#include "text/tokenizer/pair_table.h"
#include "text/tokenizer/sentencepiece_pieces.h"

namespace quern {

class SentencePiece final : public SentencePiecePieces {
  public:
    explicit SentencePiece(Vocabulary vocabulary);

  private:
    void append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const override;
    struct Symbols;

    void load_merges();
    bool rank_by_score(int32_t merged, float& priority) const;
    bool rank_by_merges(std::string_view left, std::string_view right, float& priority) const;
    bool puts_space_before(std::string_view text, Place place) const;
    void append_word(std::string_view word, std::vector<TokenId>& tokens) const;
    void append_symbol(std::string_view symbol, const Symbols& symbols, std::vector<TokenId>& tokens) const;

    bool has_unused_ = false;
    PairTable merges_;  // (left, right) -> rank
};

}  // namespace quern
