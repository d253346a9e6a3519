// Keys about a model rather than of it: licence, languages, origin, from its README.md or a file that the user gives.
#pragma once

#include <string>

#include "gguf/gguf_writer.h"

namespace quern {

/// general.license, general.tags and general.languages, from the block between the first two lines `---` of README.md. Never fails on
/// what it does not understand.
void set_model_card_keys(const std::string& folder, GgufWriter& keys);

/// A JSON object of keys: texts, numbers, booleans and lists of texts. Names without a dot get "general." before them.
/// @throws ModelError  naming the key at fault
void set_metadata_file_keys(const std::string& path, GgufWriter& keys);

}  // namespace quern
