// Jinja source to syntax tree.
#pragma once

#include <string_view>

#include "text/chat/jinja/ast.h"

namespace quern::jinja {

/// @throws ModelError  with line and column for what does not parse, an unknown filter or test, or too deep nesting
Program parse(std::string_view source);

}  // namespace quern::jinja
