// Byte-level BPE as GPT-2 brought it: a pre-tokenizer cuts the text into words, the bytes of each word merge by rank.
// Source: Radford et al. 2019 (GPT-2).
#pragma once

#include <array>
#include <cstdint>

#include "text/tokenizer/pair_table.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

class ByteLevelBpe final : public Tokenizer {
  public:
    explicit ByteLevelBpe(Vocabulary vocabulary);

    std::string token_bytes(TokenId token, bool render_special) const override;

  private:
    void load_merges();
    void append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const override;
    void append_word(std::string_view word, std::vector<TokenId>& tokens) const;
    int32_t whole_word(std::string_view word) const;

    PreTokenizer pre_tokenizer_;
    std::array<int32_t, 256> byte_tokens_;  // -1: none
    PairTable merges_;                      // (left, right) -> (rank, merged)
    size_t longest_piece_ = 0;              // in bytes of its spelling
};

}  // namespace quern
