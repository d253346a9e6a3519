// JSON written as text, for what is made once for each token: a document built and taken apart costs more than the rest of an event.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// Appends the text as JSON writes a string, quotes included: the same bytes as dump(Json(text)). What is no UTF-8 is repaired.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

}  // namespace quern
