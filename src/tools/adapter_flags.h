// The flags that put LoRA adapters beside a model.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/engine.h"

namespace quern {

/// "FILE" or "FILE=SCALE", and "FILE:SCALE" as llama.cpp has it. What stands behind the last of these signs and is no number belongs to
/// the name. @throws InvalidInput  when there is no name
AdapterSource parse_adapter(const std::string& text);

/// Several of these; a word that is a number alone is the scale of the one before, as in llama.cpp's --lora-scaled FILE SCALE.
std::vector<AdapterSource> parse_adapters(std::span<const std::string> words);

/// Declares --lora and --lora-scaled. `options` must outlive `app`.
void declare_adapter_flags(CLI::App& app, EngineOptions& options);

}  // namespace quern
