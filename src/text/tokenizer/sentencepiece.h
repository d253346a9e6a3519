// SentencePiece's BPE as Llama uses it: spaces become U+2581, neighbours merge by score, what is in no piece falls back to bytes.
// Source: Kudo, Richardson 2018 (SentencePiece).
#pragma once

#include <array>
#include <cstdint>

#include "text/tokenizer/tokenizer.h"

namespace quern {

class SentencePiece final : public Tokenizer {
  public:
    explicit SentencePiece(Vocabulary vocabulary);

    std::string token_bytes(TokenId token, bool render_special) const override;
    std::string detokenize(std::span<const TokenId> tokens, bool render_special) const override;
    bool adds_space_prefix() const noexcept override { return adds_space_prefix_; }

  private:
    void append_tokens(std::string_view text, bool after_special, std::vector<TokenId>& tokens) const override;
    void append_bytes(std::string_view text, std::vector<TokenId>& tokens) const;

    bool adds_space_prefix_;
    size_t longest_piece_ = 0;
    std::array<int32_t, 256> byte_tokens_;  // -1: none
};

}  // namespace quern
