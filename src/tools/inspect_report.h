// What `quern inspect` says of a model file, for people and for programs.
#pragma once

#include <optional>
#include <string>

#include "engine/engine.h"
#include "gguf/gguf_file.h"

namespace quern {

/// A page for people: what the model is, how its tensors are stored, its keys (long values cut), and with `list_tensors` every tensor.
/// Safe to print: names and values cannot steer the terminal.
std::string inspect_text(const GgufFile& file, const std::optional<MemoryNeed>& memory, bool list_tensors);

/// Everything in one JSON object of plain ASCII: all keys with their types and whole values, all tensors. Reals that are not finite are the
/// strings "nan", "inf" and "-inf"; bytes that are no UTF-8 become U+FFFD.
std::string inspect_json(const GgufFile& file, const std::optional<MemoryNeed>& memory);

}  // namespace quern
