// What a loaded model takes, for people.
#pragma once

#include <string>

#include "engine/engine.h"

namespace quern {

/// A few lines: weights, keys and values, work memory, and how much text fits.
std::string memory_table(const ModelInfo& info);
/// The same before it is loaded.
std::string memory_table(const MemoryNeed& need, const EngineOptions& options);

}  // namespace quern
