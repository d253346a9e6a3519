// The operators of Python on values.
#pragma once

#include "text/chat/jinja/ast.h"

namespace quern::jinja {

/// a op b for + - * / // % **. @throws InvalidInput  for kinds that do not fit, division by 0, and integers beyond 64 bits
Value arithmetic(Op op, const Value& a, const Value& b, Budget& budget);

/// -value or +value.
Value negate(const Value& value);
Value plus(const Value& value);

/// needle in haystack.
bool contains(const Value& haystack, const Value& needle, Budget& budget);

/// value[start:stop:step]; a null bound is the default one. @throws InvalidInput  for what cannot be sliced
Value slice_value(const Value& value, const Value* start, const Value* stop, const Value* step, Budget& budget);

/// The character (a code point) at an index that may be negative, or null.
TextPtr character_at(const TextPtr& text, int64_t index, Budget& budget);

/// The items of range(start, stop, step), at most 100000. REQUIRES: step != 0
Value make_range(int64_t start, int64_t stop, int64_t step, Budget& budget);

/// format % value of Python, where value is a tuple, a dict or a single value.
Value format_percent(const TextPtr& format, const Value& value, Budget& budget);

/// HTML's &, <, >, ' and " as entities, marked as markup.
TextPtr escape_markup(const TextPtr& text, Budget& budget);

}  // namespace quern::jinja
