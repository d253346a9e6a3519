// Request bodies as JSON, bounded in depth, count and work before any value is built.
#pragma once

#include <string_view>

#include "text/chat/chat_template.h"

namespace quern {

/// @throws ApiError  400: not JSON, not an object, not UTF-8, deeper than 64 levels, too many values or keys
Json parse_json_body(std::string_view body);
/// The same for the few endpoints that take an array.
Json parse_json_list(std::string_view body);

}  // namespace quern
