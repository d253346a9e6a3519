// Text from a file, made safe to print: a name in a hostile file must not move the cursor, break a line or reverse the text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace quern {

/// Whether all of `text` is well-formed UTF-8 (shortest forms, no surrogates, at most U+10FFFF).
bool is_utf8(std::string_view text);

/// `text` on one line: control characters, line separators, direction marks and bytes that are no UTF-8 become escapes (\n, \x1b, \u202e),
/// and a backslash becomes two. What exceeds `max_bytes` of the input is cut at a character and replaced by "...".
std::string printable(std::string_view text, size_t max_bytes = std::string_view::npos);

/// A whole message on one line: escaped like printable(), but backslashes stay, for what was escaped already stays as it is.
std::string one_line(std::string_view message);

/// printable() between double quotes, cut after 100 bytes: for error messages.
std::string quoted(std::string_view text);

}  // namespace quern
