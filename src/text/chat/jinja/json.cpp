// json.dumps of Python: its separators, indentation, escapes and number forms.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/chat/jinja/print.h"
#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

void append_unit(std::string& out, unsigned unit) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", unit);
    out += buffer;
}

void append_ascii(std::string& out, char32_t c) {
    if (c > 0xFFFF) {
        append_unit(out, static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
        append_unit(out, static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
    } else {
        append_unit(out, static_cast<unsigned>(c));
    }
}

std::string escape_piece(std::string_view piece, bool ensure_ascii) {
    std::string out;
    out.reserve(piece.size() + piece.size() / 16);
    for (size_t at = 0; at < piece.size();) {
        const auto byte = static_cast<unsigned char>(piece[at]);
        if (byte >= 0x80 && ensure_ascii) {
            append_ascii(out, next_code_point(piece, at));
            continue;
        }
        ++at;
        switch (byte) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\f':
                out += "\\f";
                break;
            case '\b':
                out += "\\b";
                break;
            default:
                if (byte < 0x20) {
                    append_unit(out, byte);
                } else {
                    out += static_cast<char>(byte);
                }
        }
    }
    return out;
}

std::string json_real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return print_real(value);
}

class JsonPrinter {
  public:
    JsonPrinter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget), out_(budget) {}

    void print(const Value& value, Origin frame) {
        budget_.step();
        switch (value.kind()) {
            case Kind::none:
                out_.append("null", frame);
                break;
            case Kind::boolean:
                out_.append(value.boolean() ? "true" : "false", frame);
                break;
            case Kind::integer:
                out_.append(std::to_string(value.integral()), frame);
                break;
            case Kind::real:
                out_.append(json_real(value.number()), frame);
                break;
            case Kind::text:
                print_text(*value.text(), frame);
                break;
            case Kind::dict:
                print_dict(*value.dict());
                break;
            case Kind::sequence:
                if (value.sequence()->flavor == Flavor::list || value.sequence()->flavor == Flavor::tuple) {
                    print_list(*value.sequence());
                    break;
                }
                [[fallthrough]];
            default:
                throw InvalidInput(concat("Object of type ", type_name(value), " is not JSON serializable"));
        }
    }

    TextPtr finish() { return out_.finish(); }

  private:
    void print_text(const Text& text, Origin frame) {
        out_.append("\"", frame);
        text.for_each_run([&](std::string_view piece, Origin origin) { out_.append(escape_piece(piece, style_.ensure_ascii), origin); });
        out_.append("\"", frame);
    }

    void print_key(const Value& key, Origin frame) {
        switch (key.kind()) {
            case Kind::text:
                print_text(*key.text(), frame);
                break;
            case Kind::none:
            case Kind::boolean:
            case Kind::integer:
            case Kind::real:
                out_.append("\"", frame);
                print(key, frame);
                out_.append("\"", frame);
                break;
            default:
                throw InvalidInput(concat("keys must be str, int, float, bool or None, not ", type_name(key)));
        }
    }

    void break_line(Origin frame) {
        if (!style_.has_indent) return;
        out_.append("\n", frame);
        for (int i = 0; i < level_; ++i) out_.append(style_.indent, frame);
    }

    void print_list(const Sequence& sequence) {
        const Origin frame = sequence.from_input ? Origin::input : Origin::source;
        if (sequence.items.empty()) return out_.append("[]", frame);
        out_.append("[", frame);
        ++level_;
        for (size_t i = 0; i < sequence.items.size(); ++i) {
            if (i > 0) out_.append(style_.item_separator, frame);
            break_line(frame);
            print(sequence.items[i], frame);
        }
        --level_;
        break_line(frame);
        out_.append("]", frame);
    }

    void print_dict(const Dict& dict) {
        const Origin frame = dict.from_input ? Origin::input : Origin::source;
        if (dict.entries.empty()) return out_.append("{}", frame);
        std::vector<const std::pair<Value, Value>*> entries;
        for (const auto& entry : dict.entries) entries.push_back(&entry);
        if (style_.sort_keys) {
            std::stable_sort(entries.begin(), entries.end(),
                             [&](const auto* a, const auto* b) { return compare(a->first, b->first, budget_) == -1; });
        }
        out_.append("{", frame);
        ++level_;
        for (size_t i = 0; i < entries.size(); ++i) {
            if (i > 0) out_.append(style_.item_separator, frame);
            break_line(frame);
            print_key(entries[i]->first, frame);
            out_.append(style_.key_separator, frame);
            print(entries[i]->second, frame);
        }
        --level_;
        break_line(frame);
        out_.append("}", frame);
    }

    const JsonStyle& style_;
    Budget& budget_;
    TextBuilder out_;
    int level_ = 0;
};

}  // namespace

TextPtr to_json(const Value& value, const JsonStyle& style, Budget& budget) {
    JsonPrinter printer(style, budget);
    printer.print(value, Origin::source);
    return printer.finish();
}

}  // namespace quern::jinja
