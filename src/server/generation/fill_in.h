// Filling in the middle: the control tokens of models that were trained to write what stands between two texts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace quern {

struct FillInTokens {
    TokenId prefix, suffix;
    std::optional<TokenId> middle;            ///< where the answer begins; nothing: after the prefix, which then comes last
    std::optional<TokenId> repository, file;  ///< for the context of other files
    bool suffix_first = false;                ///< the order that the model was trained with
};

/// Those that the file names, else found by their spelling, since many files do not say which they are. Nothing: the model was not trained
/// for it.
std::optional<FillInTokens> fill_in_tokens(const Tokenizer& tokenizer);

struct FillIn {
    std::string prefix, suffix;
    std::string begun;                                             ///< the middle begins so
    std::vector<std::pair<std::string, std::string>> other_files;  ///< name and text
};

/// The prompt in the order that the model knows. Texts never become control tokens.
/// @param field  what asks for it, or ""
/// @throws ApiError  400 for a model without such tokens
std::vector<TokenId> fill_in_prompt(const Tokenizer& tokenizer, const FillIn& fill_in, const std::string& field = "suffix");

}  // namespace quern
