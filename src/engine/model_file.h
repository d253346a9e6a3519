// The model file as the options want it read: with keys of its metadata replaced.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "gguf/gguf_file.h"

namespace quern {

/// Opens options.model_path and replaces the keys that kv_overrides and rope name.
/// @throws ModelError, InvalidInput
std::unique_ptr<const GgufFile> open_model_file(const EngineOptions& options);

}  // namespace quern
