// llama.cpp's way of saying which LoRA adapters apply: [{"id": 0, "scale": 0.5}, ...].
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/fields.h"

namespace quern {

/// One scale for each of the engine's adapters; those that the list does not name have 0.
/// @param param  what errors call the list  @throws ApiError  400
std::vector<float> read_adapter_scales(const std::string& param, const Json& list, const Engine& engine);

}  // namespace quern
