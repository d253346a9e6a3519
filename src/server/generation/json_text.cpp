#include "server/generation/json_text.h"

#include "base/utf8.h"

namespace quern {
namespace {

bool stands_for_itself(char c) { return static_cast<uint8_t>(c) >= 0x20 && c != '"' && c != '\\'; }

void append_escaped(std::string& out, char c) {
    constexpr char hex[] = "0123456789abcdef";
    constexpr std::string_view named = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    out += '\\';
    if (const size_t i = named.find(c); i != std::string_view::npos) {
        out += letters[i];
        return;
    }
    out += "u00";
    out += hex[static_cast<uint8_t>(c) >> 4];
    out += hex[static_cast<uint8_t>(c) & 15];
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    if (valid_utf8_prefix(text) != text.size()) return append_json_string(out, repair_utf8(text));
    out += '"';
    size_t begin = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        if (stands_for_itself(text[at])) continue;
        out.append(text, begin, at - begin);
        append_escaped(out, text[at]);
        begin = at + 1;
    }
    out.append(text, begin);
    out += '"';
}

std::string json_string(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 8);
    append_json_string(out, text);
    return out;
}

}  // namespace quern
