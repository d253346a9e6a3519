// str() and repr() of Python.
#include "text/chat/jinja/print.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

void append_escape(std::string& out, char32_t c) {
    char buffer[16];
    if (c <= 0xFF) {
        std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<unsigned>(c));
    } else if (c <= 0xFFFF) {
        std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
    } else {
        std::snprintf(buffer, sizeof buffer, "\\U%08x", static_cast<unsigned>(c));
    }
    out += buffer;
}

std::string quoted_piece(std::string_view piece, char quote) {
    std::string out;
    for (size_t at = 0; at < piece.size();) {
        const size_t start = at;
        const char32_t c = next_code_point(piece, at);
        if (c == U'\n') {
            out += "\\n";
        } else if (c == U'\r') {
            out += "\\r";
        } else if (c == U'\t') {
            out += "\\t";
        } else if (c == U'\\' || c == static_cast<char32_t>(quote)) {
            out += '\\';
            out += static_cast<char>(c);
        } else if (is_printable(c)) {
            out += piece.substr(start, at - start);
        } else {
            append_escape(out, c);
        }
    }
    return out;
}

void print_quoted(const Text& text, Origin frame, TextBuilder& out) {
    const bool has_single = text.bytes().find('\'') != std::string::npos;
    const bool has_double = text.bytes().find('"') != std::string::npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    if (text.is_markup()) out.append("Markup(", frame);
    out.append(std::string_view(&quote, 1), frame);
    text.for_each_run([&](std::string_view piece, Origin origin) { out.append(quoted_piece(piece, quote), origin); });
    out.append(std::string_view(&quote, 1), frame);
    if (text.is_markup()) out.append(")", frame);
}

class ReprPrinter {
  public:
    ReprPrinter(TextBuilder& out, Budget& budget) : out_(out), budget_(budget) {}

    void print(const Value& value, Origin frame) {
        budget_.step();
        switch (value.kind()) {
            case Kind::undefined:
                out_.append("Undefined", frame);
                break;
            case Kind::none:
                out_.append("None", frame);
                break;
            case Kind::boolean:
                out_.append(value.boolean() ? "True" : "False", frame);
                break;
            case Kind::integer:
                out_.append(std::to_string(value.integral()), frame);
                break;
            case Kind::real:
                out_.append(print_real(value.number()), frame);
                break;
            case Kind::text:
                print_quoted(*value.text(), frame, out_);
                break;
            case Kind::sequence:
                print_sequence(*value.sequence());
                break;
            case Kind::dict:
                print_dict(*value.dict());
                break;
            case Kind::object:
                print_object(value, frame);
                break;
        }
    }

  private:
    void print_items(const Sequence& sequence, std::string_view open, std::string_view close) {
        const Origin frame = sequence.from_input ? Origin::input : Origin::source;
        out_.append(open, frame);
        for (size_t i = 0; i < sequence.items.size(); ++i) {
            if (i > 0) out_.append(", ", frame);
            print(sequence.items[i], frame);
        }
        out_.append(close, frame);
    }

    void print_sequence(const Sequence& sequence) {
        switch (sequence.flavor) {
            case Flavor::list:
                print_items(sequence, "[", "]");
                break;
            case Flavor::tuple:
                print_items(sequence, "(", sequence.items.size() == 1 ? ",)" : ")");
                break;
            case Flavor::dict_keys:
                print_items(sequence, "dict_keys([", "])");
                break;
            case Flavor::dict_values:
                print_items(sequence, "dict_values([", "])");
                break;
            case Flavor::dict_items:
                print_items(sequence, "dict_items([", "])");
                break;
            case Flavor::generator:
                out_.append("<generator object>", Origin::source);
                break;
            case Flavor::range: {
                const std::string step = sequence.step == 1 ? "" : concat(", ", sequence.step);
                out_.append(concat("range(", sequence.start, ", ", sequence.stop, step, ")"), Origin::source);
                break;
            }
        }
    }

    void print_dict(const Dict& dict) {
        const Origin frame = dict.from_input ? Origin::input : Origin::source;
        out_.append("{", frame);
        bool first = true;
        for (const auto& [key, value] : dict.entries) {
            if (!first) out_.append(", ", frame);
            first = false;
            print(key, frame);
            out_.append(": ", frame);
            print(value, frame);
        }
        out_.append("}", frame);
    }

    void print_object(const Value& value, Origin frame) {
        const auto* name_space = dynamic_cast<const Namespace*>(value.object().get());
        if (!name_space) {
            out_.append(value.object()->describe(), frame);
            return;
        }
        const Budget::Level level(budget_);  // a namespace may hold itself
        out_.append("<Namespace {", frame);
        bool first = true;
        for (const auto& [key, field] : name_space->fields) {
            if (!first) out_.append(", ", frame);
            first = false;
            print_quoted(*key, frame, out_);
            out_.append(": ", frame);
            print(field, frame);
        }
        out_.append("}>", frame);
    }

    TextBuilder& out_;
    Budget& budget_;
};

}  // namespace

std::string print_real(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[40];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
    const std::string_view scientific(buffer, static_cast<size_t>(end - buffer));
    const size_t e = scientific.find('e');
    const int exponent = std::atoi(std::string(scientific.substr(e + 1)).c_str());
    if (exponent < -4 || exponent >= 16) return std::string(scientific);
    const bool negative = scientific.front() == '-';
    std::string digits;
    for (char c : scientific.substr(0, e)) {
        if (c >= '0' && c <= '9') digits += c;
    }
    std::string out = negative ? "-" : "";
    if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
    const size_t whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
    return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

void print_repr(const Value& value, TextBuilder& out, Budget& budget) { ReprPrinter(out, budget).print(value, Origin::source); }

void print(const Value& value, TextBuilder& out, Budget& budget) {
    if (value.is(Kind::undefined)) return;
    if (value.is(Kind::text)) return out.append(*value.text());
    print_repr(value, out, budget);
}

TextPtr to_text(const Value& value, Budget& budget) {
    if (value.is(Kind::text)) return value.text();
    TextBuilder out(budget);
    print(value, out, budget);
    return out.finish();
}

}  // namespace quern::jinja
