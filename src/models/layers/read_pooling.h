// What a file says of the vector of a whole text.
#pragma once

#include <optional>

#include "gguf/gguf_file.h"
#include "models/pooling.h"

namespace quern {

/// `ARCHITECTURE.pooling_type`; nothing where the file names none. @throws ModelError  for a number that is no way of pooling
std::optional<Pooling> read_pooling(const GgufFile& file);

}  // namespace quern
