// Requests as template values.
#pragma once

#include <nlohmann/json.hpp>

#include "text/chat/jinja/value.h"

namespace quern::jinja {

/// A JSON value; every string in it counts as input.
/// @throws InvalidInput  when it nests deeper than templates may
Value from_json(const nlohmann::ordered_json& json, Budget& budget);

/// The messages of a conversation. The role of a message counts as template text when it is one of the names that templates
/// spell control tokens with (`'<|' + message.role + '|>'`): those cannot spell a token that the template did not mean.
/// @throws InvalidInput  when it is no array of objects
Value from_messages(const nlohmann::ordered_json& messages, Budget& budget);

}  // namespace quern::jinja
