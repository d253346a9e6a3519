// Number and string literals of Jinja, which are those of Python.
#pragma once

#include <string>
#include <string_view>

#include "text/chat/jinja/lexer.h"

namespace quern::jinja {

struct NumberLiteral {
    size_t length = 0;  ///< bytes of source
    bool is_real = false;
    int64_t integer = 0;
    double real = 0;
};

/// The number that `source` begins with: 12, 1_000, 0x1f, 0b1, 0o7, 1.5, 1e9.
/// @throws ModelError  at `at` when it does not fit in 64 bits
NumberLiteral read_number_literal(std::string_view source, Position at);

/// Resolves the backslash escapes of a string body; unknown ones stay.
/// @throws ModelError  at `at` for an incomplete \x, \u or \U, and for \N{}
std::string unescape(std::string_view body, Position at);

}  // namespace quern::jinja
