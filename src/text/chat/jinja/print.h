// Values as text: Python's str() and repr(), and json.dumps.
#pragma once

#include <string>

#include "text/chat/jinja/value.h"

namespace quern::jinja {

/// Appends str(value). Characters keep their origin; brackets of containers of the input count as input.
void print(const Value& value, TextBuilder& out, Budget& budget);
/// str(value); a string comes back as it is.
TextPtr to_text(const Value& value, Budget& budget);
/// Appends repr(value).
void print_repr(const Value& value, TextBuilder& out, Budget& budget);
/// repr of a float: the shortest digits that read back the same, "1.0", "1e+16", "inf".
std::string print_real(double value);

/// The options of json.dumps.
struct JsonStyle {
    bool ensure_ascii = false;
    bool has_indent = false;
    std::string indent;  ///< of one level
    std::string item_separator = ", ";
    std::string key_separator = ": ";
    bool sort_keys = false;
};

/// json.dumps(value). @throws InvalidInput  for what JSON cannot say
TextPtr to_json(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace quern::jinja
