// Code points as Python's str sees them. Definitions: Python's str methods; data: Unicode through utf8proc.
#include "text/chat/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace quern::jinja {

namespace {

utf8proc_category_t category(char32_t code_point) { return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)); }

bool is_cased_letter(utf8proc_category_t c) { return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT; }

struct Expansion {
    char32_t from;
    std::string_view upper;
    std::string_view title;
};

// The unconditional entries of Unicode's SpecialCasing.txt that occur in running text.
constexpr Expansion kExpansions[] = {
    {0xDF, "SS", "Ss"},
    {0x149, "\u02BCN", "\u02BCN"},
    {0x1F0, "J\u030C", "J\u030C"},
    {0x587, "\u0535\u0552", "\u0535\u0582"},
    {0x1E96, "H\u0331", "H\u0331"},
    {0x1E97, "T\u0308", "T\u0308"},
    {0x1E98, "W\u030A", "W\u030A"},
    {0x1E99, "Y\u030A", "Y\u030A"},
    {0xFB00, "FF", "Ff"},
    {0xFB01, "FI", "Fi"},
    {0xFB02, "FL", "Fl"},
    {0xFB03, "FFI", "Ffi"},
    {0xFB04, "FFL", "Ffl"},
    {0xFB05, "ST", "St"},
    {0xFB06, "ST", "St"},
};

}  // namespace

char32_t next_code_point(std::string_view bytes, size_t& at) {
    const unsigned char first = static_cast<unsigned char>(bytes[at]);
    if (first < 0x80) {
        ++at;
        return first;
    }
    utf8proc_int32_t code_point = -1;
    const auto* start = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data() + at);
    const utf8proc_ssize_t length = utf8proc_iterate(start, static_cast<utf8proc_ssize_t>(bytes.size() - at), &code_point);
    if (length <= 0 || code_point < 0) {
        ++at;
        return 0xFFFD;
    }
    at += static_cast<size_t>(length);
    return static_cast<char32_t>(code_point);
}

size_t previous_boundary(std::string_view bytes, size_t end) {
    for (size_t length = 1; length <= 4 && length <= end; ++length) {
        const size_t start = end - length;
        if ((static_cast<unsigned char>(bytes[start]) & 0xC0) == 0x80) continue;
        size_t at = start;
        next_code_point(bytes.substr(0, end), at);
        if (at == end) return start;
        break;
    }
    return end - 1;
}

void append_utf8(std::string& out, char32_t code_point) {
    if (code_point < 0x80) {
        out += static_cast<char>(code_point);
        return;
    }
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = 0xFFFD;
    utf8proc_uint8_t buffer[4];
    const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), buffer);
    out.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
}

bool is_ascii(std::string_view bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

size_t count_code_points(std::string_view bytes) {
    if (is_ascii(bytes)) return bytes.size();
    size_t n = 0;
    for (size_t at = 0; at < bytes.size(); ++n) next_code_point(bytes, at);
    return n;
}

bool is_space(char32_t c) {
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool is_line_break(char32_t c) { return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029; }

bool is_printable(char32_t c) {
    if (c < 0x80) return c >= 0x20 && c != 0x7F;
    switch (category(c)) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
        case UTF8PROC_CATEGORY_ZS:
            return false;
        default:
            return true;
    }
}

bool is_alpha(char32_t c) {
    if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const utf8proc_category_t k = category(c);
    return is_cased_letter(k) || k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    return category(c) == UTF8PROC_CATEGORY_ND;
}

bool is_digit(char32_t c) {
    if (is_decimal(c)) return true;
    return c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
           (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247C) || (c >= 0x2488 && c <= 0x2490);
}

bool is_numeric(char32_t c) {
    if (c < 0x80) return is_decimal(c);
    const utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool is_upper(char32_t c) { return c < 0x80 ? c >= 'A' && c <= 'Z' : utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0; }

bool is_lower(char32_t c) { return c < 0x80 ? c >= 'a' && c <= 'z' : utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0; }

bool is_word(char32_t c) { return c == '_' || is_alpha(c) || is_numeric(c); }

void append_cased(std::string& out, char32_t c, Case to) {
    if (to == Case::swap) to = is_upper(c) ? Case::lower : Case::upper;
    if (c < 0x80) {
        const bool lower = c >= 'a' && c <= 'z';
        const bool upper = c >= 'A' && c <= 'Z';
        if (to == Case::lower) {
            out += static_cast<char>(upper ? c + 32 : c);
        } else {
            out += static_cast<char>(lower ? c - 32 : c);
        }
        return;
    }
    if (to == Case::lower) {
        if (c == 0x130) {
            out += "i\u0307";
        } else {
            append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
        }
        return;
    }
    for (const Expansion& expansion : kExpansions) {
        if (expansion.from == c) {
            out += to == Case::upper ? expansion.upper : expansion.title;
            return;
        }
    }
    const auto code_point = static_cast<utf8proc_int32_t>(c);
    append_utf8(out, static_cast<char32_t>(to == Case::upper ? utf8proc_toupper(code_point) : utf8proc_totitle(code_point)));
}

}  // namespace quern::jinja
