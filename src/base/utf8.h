// UTF-8, byte by byte: decoding, validation, and what to do at the cut of a stream. Source: RFC 3629.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quern {

/// One decoded character: n_bytes is 0 when the bytes at that place are no valid sequence.
struct CodePoint {
    char32_t value = 0;
    size_t n_bytes = 0;
};

/// Decodes the character at `at`. Overlong forms, surrogates and values above U+10FFFF are invalid. REQUIRES: at < text.size()
CodePoint decode_utf8(std::string_view text, size_t at) noexcept;

/// Bytes of the longest beginning that is valid.
size_t valid_utf8_prefix(std::string_view text) noexcept;

/// Bytes at the end that begin a character which later bytes may complete: 0 to 3.
size_t incomplete_utf8_tail(std::string_view text) noexcept;

void append_utf8(std::string& out, char32_t code_point);

/// Valid UTF-8: each beginning of a character that is not completed, and each byte that begins none, becomes one U+FFFD.
std::string repair_utf8(std::string_view text);

}  // namespace quern
