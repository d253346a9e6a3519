// Chat templates that the user brings: as text, in a file, or in a tokenizer_config.json.
#pragma once

#include <string>

#include "engine/engine.h"

namespace quern {

/// The name of a format, or a template's own text, which has a `{` somewhere.
void set_chat_template(const std::string& name_or_text, EngineOptions& options);

/// The template of a tokenizer_config.json of Hugging Face: "chat_template" is a text, or a list of named ones of which "default" is taken.
/// @throws InvalidInput  naming the file
std::string read_tokenizer_config_template(const std::string& path);

/// Is there such a built-in format, or can it be one of the file's? @throws InvalidInput  saying what there is, and why not the others
void check_chat_format(const std::string& format);

}  // namespace quern
