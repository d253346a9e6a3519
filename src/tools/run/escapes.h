// Backslash escapes in flag values, as `-e` asks for.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// Replaces \n \r \t \' \" \\ and \xHH by what they stand for; any other backslash stays as it is.
std::string unescape(std::string_view text);

}  // namespace quern
