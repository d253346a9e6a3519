// The lexer: text between tags, white-space control, and the tokens inside tags.
#include "text/chat/jinja/lexer.h"

#include <charconv>

#include "base/error.h"
#include "text/chat/jinja/literals.h"
#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

constexpr size_t kMaxSourceBytes = size_t{1} << 20;

/// Line ends become \n, and one at the very end is dropped.
std::string normalise(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            out += source[i];
        }
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

class Lexer {
  public:
    explicit Lexer(std::string_view source) : text_(normalise(source)), all_(text_) {}

    std::vector<Token> run() {
        while (at_ < all_.size()) read_data();
        add(TokenKind::end);
        return std::move(tokens_);
    }

  private:
    bool starts(std::string_view what) const { return all_.substr(at_, what.size()) == what; }

    /// Moves on to `end` and keeps the line count.
    void advance(size_t end) {
        for (; at_ < end; ++at_) {
            if (all_[at_] == '\n') {
                ++position_.line;
                position_.column = 1;
            } else if ((static_cast<unsigned char>(all_[at_]) & 0xC0) != 0x80) {
                ++position_.column;
            }
        }
    }

    size_t skip_space(size_t at) const {
        while (at < all_.size()) {
            size_t next = at;
            if (!is_space(next_code_point(all_, next))) break;
            at = next;
        }
        return at;
    }

    Token& add(TokenKind kind, std::string text = {}) {
        tokens_.push_back({.kind = kind, .at = position_, .text = std::move(text)});
        return tokens_.back();
    }

    /// Text up to a tag, cut as the tag's sign and lstrip_blocks ask.
    void add_data(size_t end, char sign, bool may_lstrip) {
        std::string_view data = all_.substr(at_, end - at_);
        if (sign == '-') {
            while (!data.empty()) {
                const size_t start = previous_boundary(data, data.size());
                size_t next = start;
                if (!is_space(next_code_point(data, next))) break;
                data = data.substr(0, start);
            }
        } else if (sign != '+' && may_lstrip) {
            const size_t newline = data.rfind('\n');
            const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
            if ((line > 0 || is_line_start_) && skip_space(at_ + line) >= end) data = data.substr(0, line);
        }
        if (!data.empty()) add(TokenKind::data, std::string(data));
        advance(end);
    }

    char sign_at(size_t at) const {
        const char c = at < all_.size() ? all_[at] : '\0';
        return c == '-' || c == '+' ? c : '\0';
    }

    void read_data() {
        size_t tag = at_;
        for (;; ++tag) {
            tag = all_.find('{', tag);
            if (tag == std::string_view::npos || tag + 1 >= all_.size()) return add_data(all_.size(), '+', false);
            const char c = all_[tag + 1];
            if (c == '%' || c == '{' || c == '#') break;
        }
        const char sign = sign_at(tag + 2);
        const char type = all_[tag + 1];
        add_data(tag, sign, type != '{');
        const size_t inner = tag + (sign ? 3 : 2);
        if (type == '#') return read_comment(inner);
        if (type == '%' && read_raw(inner)) return;
        add(type == '%' ? TokenKind::block_begin : TokenKind::variable_begin);
        advance(inner);
        read_tag(type == '%');
    }

    /// Where the text behind a tag goes on; `end` is behind its closing bracket.
    size_t after_close(size_t end, char sign, bool trims_newline) const {
        if (sign == '-') return skip_space(end);
        if (sign != '+' && trims_newline && end < all_.size() && all_[end] == '\n') return end + 1;
        return end;
    }

    void leave(size_t end) {
        advance(end);
        is_line_start_ = end > 0 && all_[end - 1] == '\n';
    }

    void read_comment(size_t inner) {
        const size_t close = all_.find("#}", inner);
        if (close == std::string_view::npos) fail_at(position_, "the comment is not closed");
        const char sign = close > inner ? sign_at(close - 1) : '\0';
        leave(after_close(close + 2, sign, true));
    }

    /// `{% name %}` or `{% name -%}` with its bracket at `at`: the position behind it, else 0.
    size_t match_word_tag(size_t at, std::string_view word, char& sign) const {
        at = skip_space(at);
        if (all_.substr(at, word.size()) != word) return 0;
        at = skip_space(at + word.size());
        sign = sign_at(at);
        if (sign) ++at;
        return all_.substr(at, 2) == "%}" ? at + 2 : 0;
    }

    bool read_raw(size_t inner) {
        char sign = '\0';
        const size_t body = match_word_tag(inner, "raw", sign);
        if (body == 0 || sign == '+') return false;
        const Position opened = position_;
        leave(after_close(body, sign, false));
        for (size_t tag = at_;; ++tag) {
            tag = all_.find("{%", tag);
            if (tag == std::string_view::npos) fail_at(opened, "the raw block is not closed");
            const char before = sign_at(tag + 2);
            const size_t end = match_word_tag(tag + (before ? 3 : 2), "endraw", sign);
            if (end == 0) continue;
            add_data(tag, before, true);
            leave(after_close(end, sign, true));
            return true;
        }
    }

    /// If the tag ends here, steps behind it.
    bool read_close(bool is_block) {
        const std::string_view close = is_block ? "%}" : "}}";
        char sign = sign_at(at_);
        if (sign == '+' && !is_block) sign = '\0';
        if (all_.substr(at_ + (sign ? 1 : 0), 2) != close) return false;
        add(is_block ? TokenKind::block_end : TokenKind::variable_end);
        leave(after_close(at_ + (sign ? 3 : 2), sign, is_block));
        return true;
    }

    void read_tag(bool is_block) {
        const Position opened = position_;
        std::string open_brackets;
        while (true) {
            if (open_brackets.empty() && read_close(is_block)) return;
            if (at_ >= all_.size()) fail_at(opened, "the tag is not closed");
            if (const size_t end = skip_space(at_); end > at_) {
                advance(end);
                continue;
            }
            read_token(open_brackets);
        }
    }

    void read_token(std::string& open_brackets) {
        const char c = all_[at_];
        if (c >= '0' && c <= '9') return read_number();
        if (c == '\'' || c == '"') return read_string(c);
        size_t end = at_;
        while (end < all_.size()) {
            size_t next = end;
            if (!is_word(next_code_point(all_, next))) break;
            end = next;
        }
        if (end > at_) {
            add(TokenKind::name, std::string(all_.substr(at_, end - at_)));
            return advance(end);
        }
        read_symbol(open_brackets);
    }

    void read_symbol(std::string& open_brackets) {
        for (std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
            if (starts(two)) {
                add(TokenKind::symbol, std::string(two));
                return advance(at_ + 2);
            }
        }
        const char c = all_[at_];
        if (std::string_view("+-/*%~[](){}<>=.:|,;").find(c) == std::string_view::npos) {
            fail_at(position_, "a character that has no meaning here");
        }
        if (c == '(' || c == '[' || c == '{') {
            open_brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if (c == ')' || c == ']' || c == '}') {
            if (open_brackets.empty() || open_brackets.back() != c) fail_at(position_, concat("unexpected '", c, "'"));
            open_brackets.pop_back();
        }
        add(TokenKind::symbol, std::string(1, c));
        advance(at_ + 1);
    }

    void read_number() {
        const NumberLiteral number = read_number_literal(all_.substr(at_), position_);
        Token& token = add(number.is_real ? TokenKind::real : TokenKind::integer);
        token.integer = number.integer;
        token.real = number.real;
        advance(at_ + number.length);
    }

    void read_string(char quote) {
        size_t end = at_ + 1;
        while (end < all_.size() && all_[end] != quote) end += all_[end] == '\\' ? 2 : 1;
        if (end >= all_.size()) fail_at(position_, "the string is not closed");
        add(TokenKind::string, unescape(all_.substr(at_ + 1, end - at_ - 1), position_));
        advance(end + 1);
    }

    std::string text_;
    std::string_view all_;
    size_t at_ = 0;
    Position position_;
    bool is_line_start_ = true;
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
    if (source.size() > kMaxSourceBytes) throw ModelError("the chat template is larger than 1 MiB");
    return Lexer(source).run();
}

void fail_at(Position at, const std::string& message) {
    throw ModelError(concat("chat template, line ", at.line, " column ", at.column, ": ", message));
}

}  // namespace quern::jinja
