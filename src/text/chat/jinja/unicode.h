// Code points as Python's str sees them: white space, case, character classes. Tables come from utf8proc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace quern::jinja {

/// The code point at byte `at`, which moves behind it. A byte that is not UTF-8 counts as one U+FFFD.
/// REQUIRES: at < bytes.size()
char32_t next_code_point(std::string_view bytes, size_t& at);

/// Where the code point that ends at byte `end` begins. REQUIRES: end > 0
size_t previous_boundary(std::string_view bytes, size_t end);

/// Appends UTF-8; a surrogate or a value beyond U+10FFFF becomes U+FFFD.
void append_utf8(std::string& out, char32_t code_point);

bool is_ascii(std::string_view bytes);
size_t count_code_points(std::string_view bytes);

bool is_space(char32_t code_point);       ///< str.isspace
bool is_line_break(char32_t code_point);  ///< what str.splitlines splits at
bool is_printable(char32_t code_point);   ///< what repr shows as it is
bool is_alpha(char32_t code_point);
bool is_decimal(char32_t code_point);
bool is_digit(char32_t code_point);
bool is_numeric(char32_t code_point);
bool is_upper(char32_t code_point);
bool is_lower(char32_t code_point);
bool is_word(char32_t code_point);  ///< \w of regular expressions

enum class Case { upper, lower, title, swap };

/// Appends one code point in another case, with the expansions of ß, ligatures and İ.
void append_cased(std::string& out, char32_t code_point, Case to);

}  // namespace quern::jinja
