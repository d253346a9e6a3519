// Base64, as tokenizers keep bytes in text files. Source: RFC 4648.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace quern {

/// Nothing for a character outside the alphabet. Padding at the end may be missing.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace quern
