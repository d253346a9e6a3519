// UTF-8 as in RFC 3629. Escaped are the characters of the classes Cc, Zl, Zp and the direction marks of Unicode's UAX #9.
#include "base/printable.h"

#include <array>
#include <cstdint>

#include "base/error.h"

namespace quern {
namespace {

struct Character {
    uint32_t code = 0;
    size_t length = 0;  ///< 0: no UTF-8 here
};

Character character_at(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[at + i])); };
    const uint32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - at < length) return {};
    uint32_t code = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3f);
    }
    constexpr std::array<uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < smallest[length] || code > 0x10ffff || surrogate) return {};
    return {code, length};
}

bool is_unsafe(uint32_t code) {
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const bool separator = code == 0x2028 || code == 0x2029;
    const bool direction =
        code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return control || separator || direction;
}

void append_hex(std::string& out, uint32_t value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 15];
}

void append_escape(std::string& out, uint32_t code) {
    if (code == '\n') {
        out += "\\n";
    } else if (code == '\t') {
        out += "\\t";
    } else if (code == '\r') {
        out += "\\r";
    } else if (code < 0x80) {
        out += "\\x";
        append_hex(out, code, 2);
    } else {
        out += "\\u";
        append_hex(out, code, 4);
    }
}

std::string escaped(std::string_view text, size_t max_bytes, bool double_backslashes) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const Character c = character_at(text, at);
        const size_t length = c.length ? c.length : 1;
        if (length > max_bytes || at > max_bytes - length) return out + "...";
        if (c.length == 0) {
            out += "\\x";
            append_hex(out, static_cast<unsigned char>(text[at]), 2);
        } else if (is_unsafe(c.code)) {
            append_escape(out, c.code);
        } else if (c.code == '\\' && double_backslashes) {
            out += "\\\\";
        } else {
            out += text.substr(at, length);
        }
        at += length;
    }
    return out;
}

}  // namespace

bool is_utf8(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t length = character_at(text, at).length;
        if (length == 0) return false;
        at += length;
    }
    return true;
}

std::string printable(std::string_view text, size_t max_bytes) { return escaped(text, max_bytes, true); }

std::string one_line(std::string_view message) { return escaped(message, std::string_view::npos, false); }

std::string quoted(std::string_view text) { return concat('"', printable(text, 100), '"'); }

}  // namespace quern
