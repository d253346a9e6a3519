// A tokenizer on its way from a checkpoint's folder to GGUF's `tokenizer.*` keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/gguf_writer.h"
#include "text/tokenizer/vocabulary.h"

namespace quern {

struct ConvertedVocabulary {
    std::string model;                               ///< `tokenizer.ggml.model`: llama, gpt2, bert, t5
    std::string pre;                                 ///< `tokenizer.ggml.pre`
    std::vector<std::string> pre_patterns;           ///< where no name is known for them
    bool takes_whole_words = false;                  ///< with pre_patterns
    std::string normal_form;                         ///< "nfc", or empty
    std::vector<std::string> pieces;                 ///< by id; an empty one is a hole
    std::vector<float> scores;                       ///< by id, or empty
    std::vector<int32_t> kinds;                      ///< by id: TokenKind; 0 is a hole
    std::vector<std::string> merges;                 ///< "left right"
    std::string charsmap;                            ///< SentencePiece's precompiled normalizer
    std::string space_prefix;                        ///< Metaspace's way: always or first; empty: SentencePiece's own
    bool splits_at_spaces = false;                   ///< Metaspace's split
    std::set<int32_t> strips_before, strips_behind;  ///< tokens that take the white space around them
    std::optional<bool> add_space_prefix, remove_extra_whitespaces, add_bos, add_eos;
    std::optional<bool> lowercase, strip_accents, chinese_characters_apart;  ///< WordPiece
    /// By the name in the key: bos, eos, unknown, padding, seperator, cls, mask.
    std::map<std::string, int32_t> special_ids;
    std::vector<int32_t> end_ids;  ///< all that the checkpoint names as an end
    std::string chat_template;
    std::vector<std::pair<std::string, std::string>> named_templates;

    size_t n_tokens() const { return pieces.size(); }
    /// Sets the piece of an id, making room. @throws ModelError when the id is negative or beyond any vocabulary
    void set(int64_t id, std::string_view piece, TokenKind kind);
    /// The id of a piece, or nothing.
    std::optional<int32_t> find(std::string_view piece) const;
};

/// Holes, and all ids up to n_vocab, become tokens of the type unused, so that they are never sampled and hide no other.
/// @throws ModelError  when there are more tokens than n_vocab
void pad_vocabulary(ConvertedVocabulary& vocabulary, size_t n_vocab);

void write_vocabulary(const ConvertedVocabulary& vocabulary, GgufWriter& writer);

}  // namespace quern
