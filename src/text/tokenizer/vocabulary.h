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

/// `tokenizer.ggml.model`: llama (SentencePiece BPE), gpt2 (byte-level BPE), bert (WordPiece).
enum class TokenizerModel { spm, bpe, wordpiece };

struct Vocabulary {
    TokenizerModel model = TokenizerModel::bpe;
    std::string pre;                       ///< `tokenizer.ggml.pre`, names the pre-tokenizer pattern; empty if absent
    std::vector<std::string_view> pieces;  ///< by id; the mapped file owns the bytes and must outlive every user
    std::vector<float> scores;             ///< by id, or empty
    std::vector<TokenKind> kinds;          ///< by id, or empty: all normal
    std::vector<std::string_view> merges;  ///< byte-level BPE: "left right", best first
    std::optional<TokenId> bos, eos, eot, eom, unk, sep, pad, cls, mask;
    std::vector<TokenId> extra_end_of_generation;  ///< any more ids that the file names as an end
    std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
    std::vector<char> normalizer_charsmap;  ///< SentencePiece precompiled map, or empty

    bool empty() const noexcept { return pieces.empty(); }
};

}  // namespace quern
