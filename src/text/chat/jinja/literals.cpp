// Number and string literals. Grammar: Python's lexical analysis, sections on literals.
#include "text/chat/jinja/literals.h"

#include <charconv>

#include "base/error.h"
#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/// Digits of a base with single underscores between them, from `at`; the end of them.
size_t skip_digits(std::string_view source, size_t at, int base) {
    while (at < source.size()) {
        const bool underscore = source[at] == '_' && at + 1 < source.size() && digit_value(source[at + 1]) < base;
        if (!underscore && digit_value(source[at]) >= base) break;
        ++at;
    }
    return at;
}

std::string without_underscores(std::string_view digits) {
    std::string out;
    for (char c : digits) {
        if (c != '_') out += c;
    }
    return out;
}

/// The end of a fraction or exponent behind the digits that end at `whole`, or `whole` when there is none.
size_t real_end(std::string_view source, size_t whole) {
    size_t end = whole;
    const auto is_digit_at = [&](size_t i) { return i < source.size() && digit_value(source[i]) < 10; };
    if (end < source.size() && source[end] == '.' && is_digit_at(end + 1)) end = skip_digits(source, end + 1, 10);
    if (end < source.size() && (source[end] == 'e' || source[end] == 'E')) {
        size_t exponent = end + 1;
        if (exponent < source.size() && (source[exponent] == '+' || source[exponent] == '-')) ++exponent;
        if (is_digit_at(exponent)) end = skip_digits(source, exponent, 10);
    }
    return end;
}

int64_t parse_integer(std::string_view digits, int base, Position at) {
    const std::string clean = without_underscores(digits);
    int64_t value = 0;
    const auto result = std::from_chars(clean.data(), clean.data() + clean.size(), value, base);
    if (result.ec != std::errc()) fail_at(at, concat("the number ", clean, " does not fit in 64 bits"));
    return value;
}

}  // namespace

NumberLiteral read_number_literal(std::string_view source, Position at) {
    NumberLiteral number;
    const char prefix = source.size() > 2 && source[0] == '0' ? static_cast<char>(source[1] | 0x20) : '\0';
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10 && digit_value(source[2]) < base) {
        number.length = skip_digits(source, 2, base);
        number.integer = parse_integer(source.substr(2, number.length - 2), base, at);
        return number;
    }
    const size_t whole = skip_digits(source, 0, 10);
    number.length = real_end(source, whole);
    number.is_real = number.length > whole;
    if (number.is_real) {
        const std::string clean = without_underscores(source.substr(0, number.length));
        const auto result = std::from_chars(clean.data(), clean.data() + clean.size(), number.real);
        if (result.ec != std::errc()) fail_at(at, concat("the number ", clean, " is out of range"));
    } else {
        number.integer = parse_integer(source.substr(0, whole), 10, at);
    }
    return number;
}

std::string unescape(std::string_view body, Position at) {
    std::string out;
    out.reserve(body.size());
    const auto read_code = [&](size_t& i, size_t n_digits, int base) {
        char32_t code = 0;
        const size_t start = i;
        while (i < body.size() && i - start < n_digits && digit_value(body[i]) < base) {
            code = code * static_cast<char32_t>(base) + static_cast<char32_t>(digit_value(body[i++]));
        }
        if (base == 16 && i - start < n_digits) fail_at(at, "incomplete escape in a string");
        if (code > 0x10FFFF) fail_at(at, "an escape in a string is no Unicode character");
        append_utf8(out, code);
    };
    constexpr std::string_view kFrom = "\\'\"abfnrtv";
    constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    for (size_t i = 0; i < body.size();) {
        if (body[i] != '\\' || i + 1 >= body.size()) {
            out += body[i++];
            continue;
        }
        const char c = body[i + 1];
        i += 2;
        if (c == '\n') continue;
        if (const size_t simple = kFrom.find(c); simple != std::string_view::npos) {
            out += kTo[simple];
        } else if (c == 'x' || c == 'u' || c == 'U') {
            read_code(i, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
        } else if (c >= '0' && c <= '7') {
            --i;
            read_code(i, 3, 8);
        } else if (c == 'N') {
            fail_at(at, "characters by name (\\N{...}) are not supported");
        } else {
            out += '\\';
            out += c;
        }
    }
    return out;
}

}  // namespace quern::jinja
