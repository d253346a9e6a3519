// JSON as people write configuration files: with comments and trailing commas.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// The text with comments (`// ...`, `/* ... */`) and commas before a closing bracket blanked out; strings and line breaks stay.
std::string to_strict_json(std::string_view text);

}  // namespace quern
