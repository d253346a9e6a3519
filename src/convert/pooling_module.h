// How a sentence-transformers folder makes one vector of a text's tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace quern {

/// GGUF's `ARCHITECTURE.pooling_type` (1: mean, 2: the first token's vector, 3: the last one's), from the pooling module's config.json;
/// nothing if the folder has none. @throws ModelError  for a way of pooling that GGUF has no number for
std::optional<uint32_t> read_pooling_type(const std::string& folder);

}  // namespace quern
