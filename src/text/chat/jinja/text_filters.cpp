// Filters on strings.
#include <algorithm>

#include "base/error.h"
#include "text/chat/jinja/filter_table.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"
#include "text/chat/jinja/text_operations.h"

namespace quern::jinja {

namespace {

template <Case to>
Value filter_case(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("upper or lower", arguments, {});
    return change_case(to_text(self, interpreter.budget()), to, interpreter.budget());
}

Value filter_capitalize(Interpreter& interpreter, const Value& self, Arguments&) {
    return capitalize(to_text(self, interpreter.budget()), interpreter.budget());
}

Value filter_title(Interpreter& interpreter, const Value& self, Arguments&) {
    constexpr auto starts_word = [](char32_t c) { return is_space(c) || c == U'-' || c == U'(' || c == U'{' || c == U'[' || c == U'<'; };
    return title_case(to_text(self, interpreter.budget()), starts_word, Case::upper, interpreter.budget());
}

Value filter_trim(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("trim", arguments, {"chars"});
    const TextPtr text = to_text(self, interpreter.budget());
    return strip(text, bound.has(0) ? bound.text(0).get() : nullptr, Side::both, interpreter.budget());
}

Value filter_replace(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
    Budget& budget = interpreter.budget();
    const TextPtr from = to_text(bound.at(0), budget);
    const TextPtr to = to_text(bound.at(1), budget);
    return replace(to_text(self, budget), *from, *to, bound.has(2) ? bound.integer(2, -1) : -1, budget);
}

Value filter_string(Interpreter& interpreter, const Value& self, Arguments&) { return to_text(self, interpreter.budget()); }

Value filter_safe(Interpreter& interpreter, const Value& self, Arguments&) {
    TextBuilder out(interpreter.budget());
    print(self, out, interpreter.budget());
    out.mark_markup();
    return out.finish();
}

Value filter_escape(Interpreter& interpreter, const Value& self, Arguments&) {
    const TextPtr text = to_text(self, interpreter.budget());
    return text->is_markup() ? text : escape_markup(text, interpreter.budget());
}

Value filter_forceescape(Interpreter& interpreter, const Value& self, Arguments&) {
    return escape_markup(to_text(self, interpreter.budget()), interpreter.budget());
}

Value filter_indent(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("indent", arguments, {"width", "first", "blank"});
    Budget& budget = interpreter.budget();
    if (!self.is(Kind::text)) throw InvalidInput(concat("indent needs a string, not '", type_name(self), "'"));
    TextPtr indention;
    if (bound.at(0).is(Kind::text)) {
        indention = bound.text(0);
    } else {
        const int64_t width = std::clamp<int64_t>(bound.integer(0, 4), 0, static_cast<int64_t>(Budget::kMaxTextBytes));
        indention = make_text(std::string(static_cast<size_t>(width), ' '), Origin::source, budget).text();
    }
    TextBuilder closed(budget);
    closed.append(*self.text());
    closed.append("\n", Origin::source);
    const Values lines = split_lines(closed.finish(), false, budget);
    const bool indents_blank = bound.flag(2, false);
    TextBuilder out(budget);
    for (size_t i = 0; i < lines.size(); ++i) {
        const bool indents = i == 0 ? bound.flag(1, false) : indents_blank || lines[i].text()->size() > 0;
        if (i > 0) out.append("\n", Origin::source);
        if (indents) out.append(*indention);
        out.append(*lines[i].text());
    }
    return out.finish();
}

Value filter_wordcount(Interpreter& interpreter, const Value& self, Arguments&) {
    const TextPtr text = to_text(self, interpreter.budget());
    interpreter.budget().step(text->size() / 16);
    int64_t n = 0;
    bool in_word = false;
    for (size_t at = 0; at < text->size();) {
        const bool is_part = is_word(next_code_point(text->bytes(), at));
        if (is_part && !in_word) ++n;
        in_word = is_part;
    }
    return n;
}

Value filter_truncate(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
    Budget& budget = interpreter.budget();
    const int64_t length = bound.integer(0, 255);
    const TextPtr end = bound.has(2) ? bound.text(2) : make_text("...", Origin::source, budget).text();
    const auto end_length = static_cast<int64_t>(count_code_points(end->bytes()));
    const int64_t leeway = bound.has(3) ? bound.integer(3, 5) : 5;
    if (length < end_length || leeway < 0) throw InvalidInput("truncate() needs a length of at least that of its end");
    Arguments none;
    const int64_t size = find_sequence_filter("length")(interpreter, self, none).integral();
    if (size - length <= leeway) return self;
    if (!self.is(Kind::text)) throw InvalidInput(concat("truncate needs a string, not '", type_name(self), "'"));
    const Value stop = length - end_length;
    TextPtr kept = slice_value(self, nullptr, &stop, nullptr, budget).text();
    if (!bound.flag(1, false)) {
        const size_t space = kept->bytes().rfind(' ');
        if (space != std::string::npos) kept = slice(kept, 0, space, budget);
    }
    TextBuilder out(budget);
    out.append(*kept);
    out.append(*end);
    return out.finish();
}

Value filter_center(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("center", arguments, {"width"});
    Arguments width;
    width.positional.push_back(bound.integer(0, 80));
    return find_text_method("center")(interpreter, to_text(self, interpreter.budget()), width);
}

Value filter_format(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    Budget& budget = interpreter.budget();
    if (!arguments.positional.empty() && !arguments.named.empty()) throw InvalidInput("format cannot mix positional and keyword arguments");
    const TextPtr format = to_text(self, budget);
    if (arguments.named.empty()) return format_percent(format, make_tuple(arguments.positional, budget), budget);
    Dict dict;
    for (const auto& [name, value] : arguments.named) set_item(dict, make_text(name, Origin::source, budget), value, budget);
    return format_percent(format, make_dict(std::move(dict), budget), budget);
}

Value filter_urlencode(Interpreter& interpreter, const Value& self, Arguments&) {
    if (self.is(Kind::sequence) || self.is(Kind::dict)) throw InvalidInput("urlencode of a container is not supported");
    TextBuilder out(interpreter.budget());
    to_text(self, interpreter.budget())->for_each_run([&](std::string_view piece, Origin origin) {
        std::string quoted;
        for (const char c : piece) {
            const bool is_kept = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                 std::string_view("_.-~/").find(c) != std::string_view::npos;
            constexpr std::string_view kHex = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(c);
            quoted += is_kept ? std::string(1, c) : std::string{'%', kHex[byte >> 4], kHex[byte & 15]};
        }
        out.append(quoted, origin);
    });
    return out.finish();
}

constexpr NamedFunction kFilters[] = {{"trim", filter_trim},
                                      {"upper", filter_case<Case::upper>},
                                      {"lower", filter_case<Case::lower>},
                                      {"capitalize", filter_capitalize},
                                      {"title", filter_title},
                                      {"replace", filter_replace},
                                      {"string", filter_string},
                                      {"safe", filter_safe},
                                      {"escape", filter_escape},
                                      {"e", filter_escape},
                                      {"forceescape", filter_forceescape},
                                      {"indent", filter_indent},
                                      {"wordcount", filter_wordcount},
                                      {"truncate", filter_truncate},
                                      {"center", filter_center},
                                      {"format", filter_format},
                                      {"urlencode", filter_urlencode}};

}  // namespace

TextPtr escape_markup(const TextPtr& text, Budget& budget) {
    TextBuilder out(budget);
    text->for_each_run([&](std::string_view piece, Origin origin) {
        std::string escaped;
        for (const char c : piece) {
            switch (c) {
                case '&':
                    escaped += "&amp;";
                    break;
                case '<':
                    escaped += "&lt;";
                    break;
                case '>':
                    escaped += "&gt;";
                    break;
                case '\'':
                    escaped += "&#39;";
                    break;
                case '"':
                    escaped += "&#34;";
                    break;
                default:
                    escaped += c;
            }
        }
        out.append(escaped, origin);
    });
    out.mark_markup();
    return out.finish();
}

Function find_text_filter(std::string_view name) { return find_named(kFilters, name); }

}  // namespace quern::jinja
