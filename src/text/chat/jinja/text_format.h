// Python's two ways to fill a format: 'a %s' % value and 'a {}'.format(value).
#pragma once

#include "text/chat/jinja/functions.h"

namespace quern::jinja {

/// One field: [[fill]align][sign][#][0][width][,][.precision][type].
struct FormatSpec {
    std::string fill = " ";
    char align = '\0';  ///< < > ^ =
    char sign = '-';
    bool is_alternate = false;
    bool has_commas = false;
    int64_t width = 0;
    int64_t precision = -1;
    char type = '\0';
};

/// Appends a number or string as the field asks. @throws InvalidInput  when its kind and the type do not fit
void format_field(const Value& value, const FormatSpec& spec, TextBuilder& out, Budget& budget);

/// format.format(...)
Value format_braces(Interpreter& interpreter, const TextPtr& format, Arguments& arguments);

}  // namespace quern::jinja
