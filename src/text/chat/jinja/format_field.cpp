// One field of a format. Rules: Python's format specification mini-language.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "text/chat/jinja/print.h"
#include "text/chat/jinja/text_format.h"
#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

constexpr int64_t kMaxPrecision = 300;

std::string digits_of(uint64_t magnitude, unsigned base, bool upper) {
    const char* const digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    std::string out;
    do {
        out += digits[magnitude % base];
        magnitude /= base;
    } while (magnitude > 0);
    std::reverse(out.begin(), out.end());
    return out;
}

void insert_commas(std::string& number) {
    size_t end = number.find_first_not_of("0123456789");
    if (end == std::string::npos) end = number.size();
    for (size_t at = end; at > 3; at -= 3) number.insert(at - 3, 1, ',');
}

std::string print_float(double magnitude, const FormatSpec& spec) {
    if (!spec.type && spec.precision < 0) return print_real(magnitude);
    const char type = !spec.type ? 'g' : spec.type == '%' ? 'f' : spec.type;
    const auto precision = static_cast<int>(std::min(spec.precision < 0 ? 6 : spec.precision, kMaxPrecision));
    char pattern[8] = "%.*f";
    pattern[3] = type;
    char buffer[800];
    std::snprintf(buffer, sizeof buffer, pattern, precision, spec.type == '%' ? magnitude * 100 : magnitude);
    std::string out = buffer;
    if (!spec.type && out.find_first_of(".en") == std::string::npos) out += ".0";
    if (spec.type == '%') out += '%';
    return out;
}

struct Number {
    bool negative;
    std::string prefix, digits;
};

Number print_number(const Value& value, const FormatSpec& spec) {
    Number number{};
    if (value.is(Kind::real) || std::string_view("eEfFgG%").find(spec.type ? spec.type : ' ') != std::string_view::npos) {
        const double real = value.number();
        if (spec.type && std::string_view("eEfFgG%").find(spec.type) == std::string_view::npos) {
            throw InvalidInput(concat("unknown format code '", spec.type, "' for a float"));
        }
        number.negative = std::signbit(real) && !std::isnan(real);
        number.digits = print_float(std::fabs(real), spec);
    } else {
        const int64_t integer = value.integral();
        number.negative = integer < 0;
        const unsigned base = spec.type == 'b' ? 2 : spec.type == 'o' ? 8 : spec.type == 'x' || spec.type == 'X' ? 16 : 10;
        if (base == 10 && spec.type && spec.type != 'd' && spec.type != 'n') {
            throw InvalidInput(concat("unknown format code '", spec.type, "' for an integer"));
        }
        const uint64_t magnitude = number.negative ? uint64_t{0} - static_cast<uint64_t>(integer) : static_cast<uint64_t>(integer);
        number.digits = digits_of(magnitude, base, spec.type == 'X');
        if (spec.is_alternate && base != 10) number.prefix = std::string("0") + spec.type;
    }
    if (spec.has_commas) insert_commas(number.digits);
    return number;
}

/// Appends `n` fill characters.
void fill(TextBuilder& out, const FormatSpec& spec, int64_t n) {
    if (n > static_cast<int64_t>(Budget::kMaxTextBytes)) throw InvalidInput("the chat template writes more than 16 MiB");
    for (int64_t i = 0; i < n; ++i) out.append(spec.fill, Origin::source);
}

void format_number(const Value& value, const FormatSpec& spec, TextBuilder& out) {
    const Number number = print_number(value, spec);
    const std::string sign = number.negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    const std::string head = sign + number.prefix;
    const int64_t margin = std::max<int64_t>(0, spec.width - static_cast<int64_t>(head.size() + number.digits.size()));
    const char align = spec.align ? spec.align : '>';
    const int64_t before = align == '>' ? margin : align == '^' ? margin / 2 : 0;
    fill(out, spec, before);
    out.append(head, Origin::source);
    if (align == '=') fill(out, spec, margin);
    out.append(number.digits, Origin::source);
    if (align != '=') fill(out, spec, margin - before);
}

void format_text(const TextPtr& text, const FormatSpec& spec, TextBuilder& out, Budget& budget) {
    if (spec.type && spec.type != 's') throw InvalidInput(concat("unknown format code '", spec.type, "' for a string"));
    const std::string_view bytes = text->bytes();
    budget.scan(bytes.size());
    size_t end = bytes.size();
    if (spec.precision >= 0) {
        end = 0;
        for (int64_t n = 0; n < spec.precision && end < bytes.size(); ++n) next_code_point(bytes, end);
    }
    const auto length = static_cast<int64_t>(count_code_points(bytes.substr(0, end)));
    const int64_t margin = std::max<int64_t>(0, spec.width - length);
    const int64_t before = spec.align == '>' ? margin : spec.align == '^' ? margin / 2 : 0;
    fill(out, spec, before);
    out.append(*text, 0, end);
    fill(out, spec, margin - before);
}

}  // namespace

void format_field(const Value& value, const FormatSpec& spec, TextBuilder& out, Budget& budget) {
    const bool is_plain = !spec.type && spec.width == 0 && spec.precision < 0 && spec.sign == '-' && !spec.has_commas;
    if (is_plain) return print(value, out, budget);
    if (value.is_number() && spec.type != 's') return format_number(value, spec, out);
    if (value.is(Kind::text)) return format_text(value.text(), spec, out, budget);
    throw InvalidInput(concat("unsupported format for '", type_name(value), "'"));
}

}  // namespace quern::jinja
