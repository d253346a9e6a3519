// SentencePiece's Unigram: of all ways to cut a text into pieces, the one whose scores add up to the most, after normalizing it.
// Source: Kudo 2018, "Subword regularization"; Viterbi 1967.
#pragma once

#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/piece_trie.h"
#include "text/tokenizer/sentencepiece_pieces.h"

namespace quern {

class Unigram final : public SentencePiecePieces {
  public:
    explicit Unigram(Vocabulary vocabulary);

  private:
    /// The best way to a place in the text: the piece that ends there, and where it begins.
    struct Arc {
        double score = 0;
        size_t begin = 0;
        int32_t piece = none;
        static constexpr int32_t none = -2, unknown = -1;
    };

    void append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const override;
    std::optional<TokenId> first_token() const override { return vocabulary_.bos ? vocabulary_.bos : vocabulary_.cls; }
    std::optional<TokenId> last_token() const override { return vocabulary_.eos ? vocabulary_.eos : vocabulary_.sep; }

    std::string normalize(std::string_view text, Place place) const;
    PieceTrie make_trie();
    void append_word(std::string_view word, std::vector<Arc>& arcs, std::vector<TokenId>& tokens) const;
    void append_best(std::string_view word, std::span<const Arc> arcs, std::vector<TokenId>& tokens) const;

    const bool removes_extra_spaces_;
    const Charsmap charsmap_;
    double unknown_score_ = 0;
    bool marks_begin_words_ = true;  // no piece has a space mark behind its first character
    const PieceTrie trie_;
};

}  // namespace quern
