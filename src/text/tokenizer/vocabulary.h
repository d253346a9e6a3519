// What a model file says about its tokens, as plain data; the engine fills it from GGUF, converters from tokenizer.json.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/token.h"

namespace quern {

/// `tokenizer.ggml.token_type`; ids are those of the file.
enum class TokenKind : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// `tokenizer.ggml.model`: llama (SentencePiece BPE), gpt2 (byte-level BPE), bert (WordPiece), t5 (SentencePiece Unigram).
enum class TokenizerModel { spm, bpe, wordpiece, unigram };

/// Where SentencePiece's BPE puts a space before a text, if `add_space_prefix` is set.
enum class SpacePrefix : uint8_t {
    fragments,       ///< before the text and behind each special token, whatever follows: SentencePiece's own way
    fragment_words,  ///< the same, unless a space stands there
    text_words       ///< before the text alone, unless it begins with a space
};

struct Vocabulary {
    TokenizerModel model = TokenizerModel::bpe;
    std::string pre;                             ///< `tokenizer.ggml.pre`, names the pre-tokenizer pattern; empty if absent
    std::vector<std::string_view> pre_patterns;  ///< the pattern itself, where no name is known for it; then `pre` does not count
    bool takes_whole_words = false;              ///< with pre_patterns: a word that is a piece is taken before any merge
    bool normalizes_to_nfc = false;              ///< byte-level BPE
    std::vector<std::string_view> pieces;        ///< by id; the mapped file owns the bytes and must outlive every user
    std::vector<float> scores;                   ///< by id, or empty
    std::vector<TokenKind> kinds;                ///< by id, or empty: all normal
    std::vector<std::string_view> merges;        ///< "left right", best first; SentencePiece's scores count only where there are none
    std::optional<TokenId> bos, eos, eot, eom, unk, sep, pad, cls, mask;
    struct FillInIds {
        std::optional<TokenId> prefix, suffix, middle, repository, file;
    } fill_in;                                     ///< where the file names them
    std::vector<TokenId> extra_end_of_generation;  ///< any more ids that the file names as an end
    std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
    std::optional<bool> lowercase, strip_accents;  ///< WordPiece; absent: in small letters, and without accents where so
    bool chinese_characters_apart = true;          ///< WordPiece: each of them is a word
    SpacePrefix space_prefix = SpacePrefix::fragments;
    bool splits_at_spaces = false;          ///< SentencePiece's BPE: each space begins a word, and no merge crosses that
    std::vector<TokenId> strips_before;     ///< special tokens that take the white space before them
    std::vector<TokenId> strips_behind;     ///< and behind them
    std::vector<char> normalizer_charsmap;  ///< SentencePiece precompiled map, or empty

    bool empty() const noexcept { return pieces.empty(); }
};

}  // namespace quern
