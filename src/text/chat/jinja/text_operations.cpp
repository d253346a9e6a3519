// String operations with the results of Python's str methods, on strings with origins.
#include "text/chat/jinja/text_operations.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "text/chat/jinja/print.h"

namespace quern::jinja {

namespace {

bool is_among(std::string_view chars, char32_t c) {
    for (size_t at = 0; at < chars.size();) {
        if (next_code_point(chars, at) == c) return true;
    }
    return false;
}

void push_piece(Values& pieces, const TextPtr& text, size_t from, size_t to, Budget& budget) {
    budget.step();
    budget.allocate(sizeof(Value));
    pieces.push_back(slice(text, from, to, budget));
}

/// Applies edit(out, code point) to every code point, run by run.
template <typename Edit>
TextPtr map_code_points(const TextPtr& text, Budget& budget, Edit&& edit) {
    budget.step(text->size() / 16);
    TextBuilder out(budget);
    text->for_each_run([&](std::string_view piece, Origin origin) {
        std::string edited;
        edited.reserve(piece.size());
        for (size_t at = 0; at < piece.size();) edit(edited, next_code_point(piece, at));
        out.append(edited, origin);
    });
    return out.finish();
}

struct Word {
    size_t from, to;
};

/// The next run of characters that are no white space, from `at`.
std::optional<Word> next_word(std::string_view bytes, size_t at) {
    const auto skip = [&](bool spaces) {
        while (at < bytes.size()) {
            size_t next = at;
            if (is_space(next_code_point(bytes, next)) != spaces) break;
            at = next;
        }
        return at;
    };
    const size_t from = skip(true);
    if (from >= bytes.size()) return std::nullopt;
    return Word{from, skip(false)};
}

size_t end_before(std::string_view bytes, size_t end, bool spaces) {
    while (end > 0) {
        const size_t start = previous_boundary(bytes, end);
        size_t at = start;
        if (is_space(next_code_point(bytes, at)) != spaces) break;
        end = start;
    }
    return end;
}

}  // namespace

TextPtr strip(const TextPtr& text, const Text* chars, Side side, Budget& budget) {
    const std::string_view bytes = text->bytes();
    const auto goes = [&](char32_t c) { return chars ? is_among(chars->bytes(), c) : is_space(c); };
    size_t from = 0, to = bytes.size();
    while (side != Side::right && from < to) {
        size_t next = from;
        if (!goes(next_code_point(bytes, next))) break;
        from = next;
    }
    while (side != Side::left && to > from) {
        const size_t start = previous_boundary(bytes, to);
        size_t at = start;
        if (!goes(next_code_point(bytes, at))) break;
        to = start;
    }
    const size_t n_chars = chars ? chars->size() + 1 : 1;
    budget.step((bytes.size() - (to - from)) / 16 * n_chars);
    return slice(text, from, std::max(from, to), budget);
}

TextPtr change_case(const TextPtr& text, Case to, Budget& budget) {
    return map_code_points(text, budget, [to](std::string& out, char32_t c) { append_cased(out, c, to); });
}

TextPtr capitalize(const TextPtr& text, Budget& budget) {
    bool is_first = true;
    return map_code_points(text, budget, [&](std::string& out, char32_t c) {
        append_cased(out, c, std::exchange(is_first, false) ? Case::title : Case::lower);
    });
}

TextPtr title_case(const TextPtr& text, bool (*starts_word)(char32_t), Case first, Budget& budget) {
    bool at_start = true;
    return map_code_points(text, budget, [&](std::string& out, char32_t c) {
        append_cased(out, c, at_start ? first : Case::lower);
        at_start = starts_word(c);
    });
}

TextPtr replace(const TextPtr& text, const Text& from, const Text& to, int64_t count, Budget& budget) {
    const std::string& bytes = text->bytes();
    budget.search(bytes.size(), from.size());
    uint64_t left = count < 0 ? UINT64_MAX : static_cast<uint64_t>(count);
    size_t found = bytes.find(from.bytes());
    if (left == 0 || found == std::string::npos) return slice(text, 0, bytes.size(), budget);
    TextBuilder out(budget);
    size_t at = 0;
    if (from.size() == 0) {  // between all characters
        for (; left > 0; --left) {
            budget.step();
            out.append(to);
            if (at >= bytes.size()) return out.finish();
            const size_t start = at;
            next_code_point(bytes, at);
            out.append(*text, start, at);
        }
    }
    for (; left > 0 && found != std::string::npos; --left) {
        budget.step();
        out.append(*text, at, found);
        out.append(to);
        at = found + from.size();
        found = bytes.find(from.bytes(), at);
    }
    out.append(*text, at, bytes.size());
    return out.finish();
}

Values split_lines(const TextPtr& text, bool keep_ends, Budget& budget) {
    const std::string_view bytes = text->bytes();
    budget.step(bytes.size() / 16);
    Values lines;
    size_t from = 0;
    for (size_t at = 0; at < bytes.size();) {
        const size_t end = at;
        const char32_t c = next_code_point(bytes, at);
        if (!is_line_break(c)) continue;
        if (c == U'\r' && at < bytes.size() && bytes[at] == '\n') ++at;
        push_piece(lines, text, from, keep_ends ? at : end, budget);
        from = at;
    }
    if (from < bytes.size()) push_piece(lines, text, from, bytes.size(), budget);
    return lines;
}

Values split(const TextPtr& text, const Text* separator, int64_t limit, Budget& budget) {
    const std::string_view bytes = text->bytes();
    budget.step(bytes.size() / 16);
    if (separator) budget.search(bytes.size(), separator->size());
    uint64_t left = limit < 0 ? UINT64_MAX : static_cast<uint64_t>(limit);
    Values pieces;
    size_t at = 0;
    if (!separator) {
        while (const auto word = next_word(bytes, at)) {
            if (left-- == 0) {
                push_piece(pieces, text, word->from, bytes.size(), budget);
                break;
            }
            push_piece(pieces, text, word->from, word->to, budget);
            at = word->to;
        }
        return pieces;
    }
    if (separator->size() == 0) throw InvalidInput("empty separator");
    for (; left > 0; --left) {
        const size_t found = bytes.find(separator->bytes(), at);
        if (found == std::string_view::npos) break;
        push_piece(pieces, text, at, found, budget);
        at = found + separator->size();
    }
    push_piece(pieces, text, at, bytes.size(), budget);
    return pieces;
}

Values split_from_end(const TextPtr& text, const Text* separator, int64_t limit, Budget& budget) {
    const std::string_view bytes = text->bytes();
    budget.step(bytes.size() / 16);
    if (separator) budget.search(bytes.size(), separator->size());
    uint64_t left = limit < 0 ? UINT64_MAX : static_cast<uint64_t>(limit);
    Values pieces;
    size_t end = bytes.size();
    if (!separator) {
        while ((end = end_before(bytes, end, true)) > 0) {
            const size_t from = left == 0 ? 0 : end_before(bytes, end, false);
            push_piece(pieces, text, from, end, budget);
            if (left-- == 0) break;
            end = from;
        }
    } else {
        if (separator->size() == 0) throw InvalidInput("empty separator");
        for (; left > 0 && end >= separator->size(); --left) {
            const size_t found = bytes.substr(0, end).rfind(separator->bytes());
            if (found == std::string_view::npos) break;
            push_piece(pieces, text, found + separator->size(), end, budget);
            end = found;
        }
        push_piece(pieces, text, 0, end, budget);
    }
    return Values(pieces.rbegin(), pieces.rend());
}

TextPtr join(const Values& items, const Text& separator, Budget& budget) {
    TextBuilder out(budget);
    for (size_t i = 0; i < items.size(); ++i) {
        budget.step();
        if (i > 0) out.append(separator);
        print(items[i], out, budget);
    }
    return out.finish();
}

namespace {

/// Without white space around, a plus sign in front, and underscores between digits; nothing when those are misplaced.
std::optional<std::string> clean_number(std::string_view text) {
    size_t from = 0;
    while (from < text.size()) {
        size_t next = from;
        if (!is_space(next_code_point(text, next))) break;
        from = next;
    }
    text = text.substr(from);
    text = text.substr(0, end_before(text, text.size(), true));
    if (!text.empty() && text[0] == '+') {
        text = text.substr(1);
        if (!text.empty() && (text[0] == '-' || text[0] == '+')) return std::nullopt;
    }
    std::string clean;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '_') {
            clean += text[i];
            continue;
        }
        const auto is_alphanumeric = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
        if (i == 0 || i + 1 == text.size() || !is_alphanumeric(text[i - 1]) || !is_alphanumeric(text[i + 1])) return std::nullopt;
    }
    return clean;
}

}  // namespace

std::optional<int64_t> parse_integer(std::string_view text, int64_t base) {
    if (base != 0 && (base < 2 || base > 36)) throw InvalidInput("int() base must be >= 2 and <= 36, or 0");
    std::optional<std::string> clean = clean_number(text);
    if (!clean || clean->empty()) return std::nullopt;
    const bool negative = clean->front() == '-';
    std::string digits = clean->substr(negative ? 1 : 0);
    const char prefix = digits.size() > 2 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
    const int64_t implied = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (implied != 0 && (base == implied || base == 0)) {
        digits = digits.substr(2);
        base = implied;
    }
    if (base == 0) base = 10;
    if (digits.empty() || digits[0] == '-') return std::nullopt;
    if (negative) digits.insert(digits.begin(), '-');
    int64_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
    if (result.ptr != digits.data() + digits.size()) return std::nullopt;
    if (result.ec == std::errc::result_out_of_range) throw InvalidInput("an integer in the chat template exceeds 64 bits");
    return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_real(std::string_view text) {
    const std::optional<std::string> clean = clean_number(text);
    if (!clean || clean->empty()) return std::nullopt;
    const bool has_parentheses = clean->find('(') != std::string::npos;  // from_chars reads nan(...), Python does not
    double value = 0;
    const auto result = std::from_chars(clean->data(), clean->data() + clean->size(), value);
    if (has_parentheses || result.ptr != clean->data() + clean->size()) return std::nullopt;
    if (result.ec == std::errc::result_out_of_range) return std::strtod(clean->c_str(), nullptr);
    return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace quern::jinja
