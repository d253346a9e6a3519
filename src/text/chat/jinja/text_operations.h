// Operations on strings that methods and filters share. All keep the origin of every character.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "text/chat/jinja/unicode.h"
#include "text/chat/jinja/value.h"

namespace quern::jinja {

enum class Side : uint8_t { left, right, both };

/// Without white space, or without the characters of `chars`, at the ends.
TextPtr strip(const TextPtr& text, const Text* chars, Side side, Budget& budget);

/// Every code point in another case.
TextPtr change_case(const TextPtr& text, Case to, Budget& budget);

/// The first code point in title case, the others in lower case.
TextPtr capitalize(const TextPtr& text, Budget& budget);

/// Case `first` at the beginning and after each code point for which starts_word is true; lower case elsewhere.
TextPtr title_case(const TextPtr& text, bool (*starts_word)(char32_t), Case first, Budget& budget);

/// With up to `count` occurrences of `from` replaced; all for a negative count.
TextPtr replace(const TextPtr& text, const Text& from, const Text& to, int64_t count, Budget& budget);

/// The lines, without their ends unless `keep_ends`.
Values split_lines(const TextPtr& text, bool keep_ends, Budget& budget);

/// The pieces between separators (a null one: runs of white space), at most `limit` cuts unless it is negative.
Values split(const TextPtr& text, const Text* separator, int64_t limit, Budget& budget);
/// The same, cutting from the end.
Values split_from_end(const TextPtr& text, const Text* separator, int64_t limit, Budget& budget);

/// str() of the items with the separator between them.
TextPtr join(const Values& items, const Text& separator, Budget& budget);

/// int(text, base) of Python, or nothing. @throws InvalidInput  beyond 64 bits
std::optional<int64_t> parse_integer(std::string_view text, int64_t base);
/// float(text) of Python, or nothing.
std::optional<double> parse_real(std::string_view text);

}  // namespace quern::jinja
