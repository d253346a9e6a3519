// The built-in chat formats, as template sources.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// The Jinja source of a format by its `--chat_format` name, or nothing of size 0.
std::string_view named_format_source(std::string_view name);

/// All names, separated by ", ".
std::string named_format_names();

}  // namespace quern
