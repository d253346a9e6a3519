// The methods of strings.
#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/text_format.h"
#include "text/chat/jinja/text_operations.h"

namespace quern::jinja {

namespace {

const Text* optional_text(const Bound& bound, size_t i) { return bound.has(i) ? bound.text(i).get() : nullptr; }

template <Side side>
Value text_strip(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("strip", arguments, {"chars"});
    return strip(self.text(), optional_text(bound, 0), side, interpreter.budget());
}

template <Case to>
Value text_case(Interpreter& interpreter, const Value& self, Arguments&) {
    return change_case(self.text(), to, interpreter.budget());
}

Value text_capitalize(Interpreter& interpreter, const Value& self, Arguments&) { return capitalize(self.text(), interpreter.budget()); }

Value text_title(Interpreter& interpreter, const Value& self, Arguments&) {
    return title_case(
        self.text(), [](char32_t c) { return !is_upper(c) && !is_lower(c); }, Case::title, interpreter.budget());
}

Value text_split(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("split", arguments, {"sep", "maxsplit"});
    return make_list(split(self.text(), optional_text(bound, 0), bound.integer(1, -1), interpreter.budget()), interpreter.budget());
}

Value text_rsplit(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("rsplit", arguments, {"sep", "maxsplit"});
    return make_list(split_from_end(self.text(), optional_text(bound, 0), bound.integer(1, -1), interpreter.budget()),
                     interpreter.budget());
}

Value text_splitlines(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("splitlines", arguments, {"keepends"});
    return make_list(split_lines(self.text(), bound.flag(0, false), interpreter.budget()), interpreter.budget());
}

template <bool from_end>
Value text_partition(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("partition", arguments, {"sep"}, 1);
    const TextPtr& text = self.text();
    const TextPtr& separator = bound.text(0);
    if (separator->size() == 0) throw InvalidInput("empty separator");
    Budget& budget = interpreter.budget();
    budget.search(text->size(), separator->size());
    const size_t found = from_end ? text->bytes().rfind(separator->bytes()) : text->bytes().find(separator->bytes());
    const Value empty = slice(text, 0, 0, budget);
    if (found == std::string::npos) return make_tuple(from_end ? Values{empty, empty, text} : Values{text, empty, empty}, budget);
    const size_t behind = found + separator->size();
    return make_tuple({slice(text, 0, found, budget), slice(text, found, behind, budget), slice(text, behind, text->size(), budget)},
                      budget);
}

bool fits_at(const std::string& text, const std::string& affix, bool at_end) {
    if (affix.size() > text.size()) return false;
    return text.compare(at_end ? text.size() - affix.size() : 0, affix.size(), affix) == 0;
}

/// The part of a string that optional start and end arguments leave.
TextPtr window(Interpreter& interpreter, const Value& self, const Bound& bound) {
    if (!bound.has(1) && !bound.has(2)) return self.text();
    const Value* start = bound.has(1) ? &bound.at(1) : nullptr;
    const Value* stop = bound.has(2) ? &bound.at(2) : nullptr;
    return slice_value(self, start, stop, nullptr, interpreter.budget()).text();
}

template <bool at_end>
Value text_affix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound(at_end ? "endswith" : "startswith", arguments, {"prefix", "start", "end"}, 1);
    const TextPtr text = window(interpreter, self, bound);
    const Value& affix = bound.at(0);
    if (affix.is(Kind::sequence) && affix.sequence()->flavor == Flavor::tuple) {
        for (const Value& one : affix.sequence()->items) {
            if (!one.is(Kind::text)) throw InvalidInput("startswith() and endswith() need strings");
            if (fits_at(text->bytes(), one.bytes(), at_end)) return true;
        }
        return false;
    }
    return fits_at(text->bytes(), bound.text(0)->bytes(), at_end);
}

template <bool at_end>
Value text_remove_affix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("removeprefix", arguments, {"affix"}, 1);
    const TextPtr& text = self.text();
    const TextPtr& affix = bound.text(0);
    const size_t cut = fits_at(text->bytes(), affix->bytes(), at_end) ? affix->size() : 0;
    return at_end ? slice(text, 0, text->size() - cut, interpreter.budget()) : slice(text, cut, text->size(), interpreter.budget());
}

Value text_replace(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
    return replace(self.text(), *bound.text(0), *bound.text(1), bound.integer(2, -1), interpreter.budget());
}

template <bool from_end, bool must_exist>
Value text_find(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("find", arguments, {"sub", "start", "end"}, 1);
    Budget& budget = interpreter.budget();
    const TextPtr text = window(interpreter, self, bound);
    const std::string& needle = bound.text(0)->bytes();
    budget.search(text->size(), needle.size());
    const size_t found = from_end ? text->bytes().rfind(needle) : text->bytes().find(needle);
    const auto length = static_cast<int64_t>(count_code_points(self.bytes()));
    int64_t start = bound.has(1) ? bound.integer(1, 0) : 0;
    if (start < 0) start = std::max<int64_t>(0, start + length);
    if (found == std::string::npos || start > length) {
        if (must_exist) throw InvalidInput("substring not found");
        return int64_t{-1};
    }
    return start + static_cast<int64_t>(count_code_points(std::string_view(text->bytes()).substr(0, found)));
}

Value text_count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("count", arguments, {"sub", "start", "end"}, 1);
    const TextPtr text = window(interpreter, self, bound);
    const std::string& needle = bound.text(0)->bytes();
    interpreter.budget().search(text->size(), needle.size());
    if (needle.empty()) return static_cast<int64_t>(count_code_points(text->bytes())) + 1;
    int64_t n = 0;
    for (size_t at = text->bytes().find(needle); at != std::string::npos; at = text->bytes().find(needle, at + needle.size())) ++n;
    return n;
}

Value text_join(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("join", arguments, {"iterable"}, 1);
    const SequencePtr items = interpreter.iterate(bound.at(0));
    for (const Value& item : items->items) {
        if (!item.is(Kind::text)) throw InvalidInput(concat("join() needs strings, not '", type_name(item), "'"));
    }
    return join(items->items, *self.text(), interpreter.budget());
}

Value text_format(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    return format_braces(interpreter, self.text(), arguments);
}

/// True when there is a character and all of them fit.
template <bool (*fits)(char32_t)>
Value text_all(Interpreter& interpreter, const Value& self, Arguments&) {
    const std::string_view bytes = self.bytes();
    interpreter.budget().scan(bytes.size());
    for (size_t at = 0; at < bytes.size();) {
        if (!fits(next_code_point(bytes, at))) return false;
    }
    return !bytes.empty();
}

/// True when there is a letter of this case and none of the other.
template <bool upper>
Value text_is_case(Interpreter& interpreter, const Value& self, Arguments&) {
    const std::string_view bytes = self.bytes();
    interpreter.budget().scan(bytes.size());
    bool found = false;
    for (size_t at = 0; at < bytes.size();) {
        const char32_t c = next_code_point(bytes, at);
        if (upper ? is_lower(c) : is_upper(c)) return false;
        found = found || (upper ? is_upper(c) : is_lower(c));
    }
    return found;
}

bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_numeric(c); }

Value text_isascii(Interpreter& interpreter, const Value& self, Arguments&) {
    interpreter.budget().scan(self.bytes().size());
    return is_ascii(self.bytes());
}

Value pad_text(Interpreter& interpreter, const Value& self, Arguments& arguments, Side side) {
    const Bound bound("center", arguments, {"width", "fillchar"}, 1);
    const auto length = static_cast<int64_t>(count_code_points(self.bytes()));
    const int64_t width = bound.integer(0, 0);
    Budget& budget = interpreter.budget();
    const TextPtr fill = bound.has(1) ? bound.text(1) : make_text(" ", Origin::source, budget).text();
    if (count_code_points(fill->bytes()) != 1) throw InvalidInput("the fill character must be exactly one character long");
    const int64_t margin = std::max<int64_t>(0, width - length);
    const int64_t left = side == Side::left ? 0 : side == Side::right ? margin : margin / 2 + (margin & width & 1);
    TextBuilder out(budget);
    for (int64_t i = 0; i < left; ++i) out.append(*fill);
    out.append(*self.text());
    for (int64_t i = left; i < margin; ++i) out.append(*fill);
    return out.finish();
}

template <Side side>
Value text_pad(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    return pad_text(interpreter, self, arguments, side);
}

Value text_zfill(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("zfill", arguments, {"width"}, 1);
    const int64_t margin = bound.integer(0, 0) - static_cast<int64_t>(count_code_points(self.bytes()));
    if (margin > static_cast<int64_t>(Budget::kMaxTextBytes)) throw InvalidInput("the chat template writes more than 16 MiB");
    const TextPtr& text = self.text();
    const size_t sign = !text->bytes().empty() && (text->bytes()[0] == '-' || text->bytes()[0] == '+') ? 1 : 0;
    TextBuilder out(interpreter.budget());
    out.append(*text, 0, sign);
    if (margin > 0) out.append(std::string(static_cast<size_t>(margin), '0'), Origin::source);
    out.append(*text, sign, text->size());
    return out.finish();
}

const std::unordered_map<std::string_view, Function> kMethods = {
    {"strip", text_strip<Side::both>},
    {"lstrip", text_strip<Side::left>},
    {"rstrip", text_strip<Side::right>},
    {"upper", text_case<Case::upper>},
    {"lower", text_case<Case::lower>},
    {"casefold", text_case<Case::lower>},
    {"swapcase", text_case<Case::swap>},
    {"capitalize", text_capitalize},
    {"title", text_title},
    {"split", text_split},
    {"rsplit", text_rsplit},
    {"splitlines", text_splitlines},
    {"partition", text_partition<false>},
    {"rpartition", text_partition<true>},
    {"startswith", text_affix<false>},
    {"endswith", text_affix<true>},
    {"removeprefix", text_remove_affix<false>},
    {"removesuffix", text_remove_affix<true>},
    {"replace", text_replace},
    {"find", text_find<false, false>},
    {"rfind", text_find<true, false>},
    {"index", text_find<false, true>},
    {"rindex", text_find<true, true>},
    {"count", text_count},
    {"join", text_join},
    {"format", text_format},
    {"isspace", text_all<is_space>},
    {"isalpha", text_all<is_alpha>},
    {"isalnum", text_all<is_alphanumeric>},
    {"isdigit", text_all<is_digit>},
    {"isdecimal", text_all<is_decimal>},
    {"isnumeric", text_all<is_numeric>},
    {"isupper", text_is_case<true>},
    {"islower", text_is_case<false>},
    {"isascii", text_isascii},
    {"center", text_pad<Side::both>},
    {"ljust", text_pad<Side::left>},
    {"rjust", text_pad<Side::right>},
    {"zfill", text_zfill},
};

}  // namespace

Function find_text_method(std::string_view name) {
    const auto found = kMethods.find(name);
    return found == kMethods.end() ? nullptr : found->second;
}

}  // namespace quern::jinja
