// Which chat template a model runs with: the file's own, another one of the file, a built-in one, or one that the user brings.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
#include "gguf/gguf_file.h"

namespace quern {

struct LoadedTemplate {
    std::unique_ptr<const ChatTemplate> format;  ///< nullptr: none
    bool adds_bos = false;                       ///< BOS comes first where the vocabulary asks for it: the template leaves it out
    std::string error;                           ///< why the file's own cannot be used
};

/// A template of the file that does not parse is no error before somebody wants to chat; one that the options ask for is.
/// @throws InvalidInput, ModelError
LoadedTemplate choose_chat_template(const GgufFile& file, const Tokenizer& tokenizer, const EngineOptions& options);

}  // namespace quern
