// SentencePiece's BPE as Llama uses it: spaces become U+2581, neighbours merge by score, what is in no piece falls back to bytes.
// Where the file lists the merges themselves, as tokenizer.json does, those decide instead of the scores.
// Source: Kudo, Richardson 2018 (SentencePiece).
#pragma once

#include <array>
#include <cstdint>

#include "text/tokenizer/pair_table.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

class SentencePiece final : public Tokenizer {
  public:
    explicit SentencePiece(Vocabulary vocabulary);

    std::string token_bytes(TokenId token, bool render_special) const override;
    std::string detokenize(std::span<const TokenId> tokens, bool render_special) const override;
    bool adds_space_prefix() const noexcept override { return adds_space_prefix_; }

  private:
    void append_tokens(std::string_view text, bool at_start, std::vector<TokenId>& tokens) const override;
    struct Symbols;

    void check_bytes();
    void load_merges();
    bool rank_by_score(int32_t merged, float& priority) const;
    bool rank_by_merges(std::string_view left, std::string_view right, float& priority) const;
    bool puts_space_before(std::string_view text, bool at_start) const;
    void append_word(std::string_view word, std::vector<TokenId>& tokens) const;
    void append_symbol(std::string_view symbol, const Symbols& symbols, std::vector<TokenId>& tokens) const;
    void append_unknown(std::string_view text, bool after_unknown, std::vector<TokenId>& tokens) const;

    bool adds_space_prefix_;
    bool words_are_apart_ = true;  // no piece has a space mark behind another character, so no merge crosses the start of a word
    bool has_unused_ = false;
    size_t longest_piece_ = 0;
    std::array<int32_t, 256> byte_tokens_;  // -1: none
    PairTable merges_;                      // (left, right) -> rank
};

}  // namespace quern
