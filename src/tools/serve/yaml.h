// YAML configuration files, as JSON.
#pragma once

#include <string>

#include "text/chat/chat_template.h"

namespace quern {

/// Plain scalars become null, booleans and numbers as YAML 1.2's core schema has them; quoted ones are text.
/// @throws InvalidInput  it is not YAML, or is deeper or larger than a configuration can be
Json json_from_yaml(const std::string& text);

}  // namespace quern
