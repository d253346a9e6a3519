// 'a %s' % value and 'a {}'.format(value): the parsing of formats. Rules: Python's printf-style and str.format syntax.
#include "text/chat/jinja/text_format.h"

#include <cmath>

#include "base/error.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"
#include "text/chat/jinja/text_operations.h"

namespace quern::jinja {

namespace {

constexpr int64_t kMaxWidth = 1'000'000;

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// Decimal digits from `at` on; -1 when there are none.
int64_t read_count(std::string_view format, size_t& at) {
    if (at >= format.size() || !is_ascii_digit(format[at])) return -1;
    int64_t n = 0;
    for (; at < format.size() && is_ascii_digit(format[at]); ++at) {
        n = n * 10 + (format[at] - '0');
        if (n > kMaxWidth) throw InvalidInput("a width in a format is too large");
    }
    return n;
}

/// Hands out the values behind the % operator.
class PercentArguments {
  public:
    explicit PercentArguments(const Value& value) : value_(value) {
        is_tuple_ = value.is(Kind::sequence) && value.sequence()->flavor == Flavor::tuple;
    }
    Value next() {
        const size_t n = is_tuple_ ? value_.sequence()->items.size() : 1;
        if (used_ >= n) throw InvalidInput("not enough arguments for format string");
        const size_t i = used_++;
        return is_tuple_ ? value_.sequence()->items[i] : value_;
    }
    Value named(const std::string& key) {
        const Value* found = value_.is(Kind::dict) ? value_.dict()->find(key) : nullptr;
        if (!found) throw InvalidInput(concat("the format asks for '", key, "', which is not there"));
        is_mapping_used_ = true;
        return *found;
    }
    void finish() const {
        if (is_mapping_used_ || value_.is(Kind::dict) || value_.is(Kind::undefined) || (value_.is(Kind::sequence) && !is_tuple_)) return;
        const size_t n = is_tuple_ ? value_.sequence()->items.size() : 1;
        if (used_ < n) throw InvalidInput("not all arguments converted during string formatting");
    }

  private:
    const Value& value_;
    bool is_tuple_ = false;
    bool is_mapping_used_ = false;
    size_t used_ = 0;
};

FormatSpec read_percent_spec(std::string_view format, size_t& at) {
    FormatSpec spec;
    bool is_left = false, is_zero = false;
    for (; at < format.size(); ++at) {
        const char c = format[at];
        if (c == '-')
            is_left = true;
        else if (c == '0')
            is_zero = true;
        else if (c == '+')
            spec.sign = '+';
        else if (c == ' ')
            spec.sign = spec.sign == '+' ? '+' : ' ';
        else if (c == '#')
            spec.is_alternate = true;
        else
            break;
    }
    const int64_t width = read_count(format, at);
    if (width > 0) spec.width = width;
    if (at < format.size() && format[at] == '.') {
        ++at;
        const int64_t precision = read_count(format, at);
        spec.precision = precision < 0 ? 0 : precision;
    }
    if (at >= format.size()) throw InvalidInput("incomplete format");
    spec.type = format[at++];
    spec.align = is_left ? '<' : '>';
    if (is_zero && !is_left && std::string_view("diuxXofFeEgG").find(spec.type) != std::string_view::npos) {
        spec.align = '=';
        spec.fill.assign(1, '0');
    }
    return spec;
}

void format_percent_value(Value value, FormatSpec spec, TextBuilder& out, Budget& budget) {
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
        TextBuilder shown(budget);
        if (spec.type == 's') {
            print(value, shown, budget);
        } else {
            print_repr(value, shown, budget);
        }
        spec.type = 's';
        return format_field(TextPtr(shown.finish()), spec, out, budget);
    }
    if (spec.type == 'c' && value.is(Kind::text)) {
        spec.type = 's';
        return format_field(value, spec, out, budget);
    }
    if (!value.is_number()) throw InvalidInput(concat("%", spec.type, " format: a number is required, not ", type_name(value)));
    if (std::string_view("diu").find(spec.type) != std::string_view::npos) {
        if (value.is(Kind::real)) {
            if (!(std::fabs(value.number()) < 9e18)) throw InvalidInput("cannot convert this float to an integer");
            value = static_cast<int64_t>(value.number());
        }
        spec.type = 'd';
        spec.precision = -1;
    }
    format_field(value, spec, out, budget);
}

FormatSpec read_brace_spec(std::string_view text) {
    FormatSpec spec;
    size_t at = 0;
    constexpr std::string_view kAligns = "<>^=";
    if (!text.empty()) {
        size_t behind = 0;
        next_code_point(text, behind);
        if (behind < text.size() && kAligns.find(text[behind]) != std::string_view::npos) {
            spec.fill = text.substr(0, behind);
            spec.align = text[behind];
            at = behind + 1;
        } else if (kAligns.find(text[0]) != std::string_view::npos) {
            spec.align = text[0];
            at = 1;
        }
    }
    const auto skip = [&](char c) { return at < text.size() && text[at] == c ? (++at, true) : false; };
    if (at < text.size() && std::string_view("+- ").find(text[at]) != std::string_view::npos) spec.sign = text[at++];
    spec.is_alternate = skip('#');
    if (at < text.size() && text[at] == '0' && !spec.align) {
        spec.align = '=';
        spec.fill.assign(1, '0');
    }
    const int64_t width = read_count(text, at);
    if (width > 0) spec.width = width;
    spec.has_commas = skip(',');
    if (skip('.')) {
        spec.precision = read_count(text, at);
        if (spec.precision < 0) throw InvalidInput("format specifier lacks precision");
    }
    if (at < text.size()) spec.type = text[at++];
    if (at < text.size()) throw InvalidInput("invalid format specifier");
    return spec;
}

/// Looks up the fields of str.format: {}, {0}, {name}, {name.attribute}, {name[key]}.
class BraceArguments {
  public:
    BraceArguments(Interpreter& interpreter, const Arguments& arguments) : interpreter_(interpreter), arguments_(arguments) {}

    Value find(std::string_view field) {
        const size_t end = std::min(field.find_first_of(".["), field.size());
        Value value = first(field.substr(0, end));
        size_t at = end;
        while (at < field.size()) {
            const bool is_key = field[at] == '[';
            const size_t stop = is_key ? field.find(']', at) : std::min(field.find_first_of(".[", at + 1), field.size());
            if (stop == std::string_view::npos) throw InvalidInput("expected ']' in a format");
            const std::string part(field.substr(at + 1, stop - at - 1));
            const TextPtr name = make_text(part, Origin::source, interpreter_.budget()).text();
            const bool is_index = is_key && !part.empty() && is_ascii_digit(part[0]);
            const auto index = is_index ? parse_integer(part, 10) : std::nullopt;
            value = !is_key ? interpreter_.attribute(value, name) : interpreter_.subscript(value, index ? Value(*index) : Value(name));
            at = stop + (is_key ? 1 : 0);
        }
        return value;
    }

  private:
    Value first(std::string_view name) {
        size_t at = 0;
        const int64_t index = name.empty() ? static_cast<int64_t>(next_++) : read_count(name, at);
        if (index >= 0) {
            if (static_cast<size_t>(index) >= arguments_.positional.size())
                throw InvalidInput("the format asks for more arguments than given");
            return arguments_.positional[static_cast<size_t>(index)];
        }
        for (const auto& [key, value] : arguments_.named) {
            if (key == name) return value;
        }
        throw InvalidInput(concat("the format asks for '", name, "', which is not there"));
    }

    Interpreter& interpreter_;
    const Arguments& arguments_;
    size_t next_ = 0;
};

}  // namespace

Value format_percent(const TextPtr& format, const Value& value, Budget& budget) {
    const std::string_view bytes = format->bytes();
    PercentArguments arguments(value);
    TextBuilder out(budget);
    for (size_t at = 0; at < bytes.size();) {
        const size_t percent = std::min(bytes.find('%', at), bytes.size());
        out.append(*format, at, percent);
        if (percent == bytes.size()) break;
        budget.step();
        at = percent + 1;
        if (at < bytes.size() && bytes[at] == '%') {
            out.append(*format, at, at + 1);
            ++at;
            continue;
        }
        std::string key;
        const bool is_named = at < bytes.size() && bytes[at] == '(';
        if (is_named) {
            const size_t close = bytes.find(')', at);
            if (close == std::string_view::npos) throw InvalidInput("incomplete format key");
            key = bytes.substr(at + 1, close - at - 1);
            at = close + 1;
        }
        const FormatSpec spec = read_percent_spec(bytes, at);
        format_percent_value(is_named ? arguments.named(key) : arguments.next(), spec, out, budget);
    }
    arguments.finish();
    return out.finish();
}

Value format_braces(Interpreter& interpreter, const TextPtr& format, Arguments& given) {
    const std::string_view bytes = format->bytes();
    Budget& budget = interpreter.budget();
    BraceArguments arguments(interpreter, given);
    TextBuilder out(budget);
    for (size_t at = 0; at < bytes.size();) {
        const size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
        out.append(*format, at, brace);
        if (brace == bytes.size()) break;
        budget.step();
        at = brace + 1;
        if (at < bytes.size() && bytes[at] == bytes[brace]) {
            out.append(*format, at, at + 1);
            ++at;
            continue;
        }
        const size_t close = bytes[brace] == '{' ? bytes.find('}', at) : std::string_view::npos;
        if (close == std::string_view::npos) throw InvalidInput("a single brace in a format");
        const std::string_view field = bytes.substr(at, close - at);
        if (field.find('{') != std::string_view::npos) throw InvalidInput("nested fields in a format are not supported");
        const size_t colon = std::min(field.find(':'), field.size());
        const size_t bang = std::min(field.substr(0, colon).find('!'), colon);
        Value value = arguments.find(field.substr(0, bang));
        if (bang < colon) {
            TextBuilder shown(budget);
            if (field.substr(bang) == "!r" || field.substr(bang, 3) == "!r:") {
                print_repr(value, shown, budget);
            } else {
                print(value, shown, budget);
            }
            value = shown.finish();
        }
        format_field(value, read_brace_spec(field.substr(std::min(colon + 1, field.size()))), out, budget);
        at = close + 1;
    }
    return out.finish();
}

}  // namespace quern::jinja
