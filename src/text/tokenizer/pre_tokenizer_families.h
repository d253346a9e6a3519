// The pre-tokenizer patterns of each family, by the name that GGUF files give it.
#pragma once

#include <span>
#include <string_view>

namespace quern {

/// The patterns run one after the other, each on what the ones before it left: a match is a word, and so is what stands between matches.
struct PreTokenizerFamily {
    std::string_view name;  ///< `tokenizer.ggml.pre`
    std::span<const std::string_view> patterns;
    bool takes_whole_words = false;                   ///< a word that is a piece is taken before any merge
    bool adds_bos = false;                            ///< where the file does not say
    std::span<const std::string_view> byte_patterns;  ///< run after the others, on bytes instead of characters
};

/// nullptr for an unknown name.
const PreTokenizerFamily* find_pre_tokenizer_family(std::string_view name);

/// What most new models use; for names that are not in the table.
const PreTokenizerFamily& common_pre_tokenizer_family();

}  // namespace quern
