#include "text/tokenizer/wordpiece.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace quern {
namespace {

constexpr std::string_view word_mark = "\xE2\x96\x81";  // U+2581
constexpr size_t most_characters = 100;                 // a longer word is unknown as a whole, as in the original

utf8proc_category_t category_of(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_chinese(char32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// Unicode's White_Space, less the control characters that BERT drops.
bool is_space(char32_t c) {
    if (c < 0x80) return c == ' ' || c == '\t' || c == '\n' || c == '\r';
    const auto category = category_of(c);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool is_control(char32_t c) {
    switch (category_of(c)) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
            return true;
        default:
            return false;
    }
}

// BERT counts every ASCII symbol as punctuation, beside Unicode's P categories.
bool is_punctuation(char32_t c) {
    if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    const auto category = category_of(c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

struct WordRules {
    bool lowercase = true, strip_accents = true, chinese_characters_apart = true;
};

/// Collects characters into words and hands each one over.
template <typename Sink>
class Words {
  public:
    Words(Sink sink, WordRules rules) : sink_(sink), rules_(rules) {}

    /// Without accents: the canonical decomposition of each character, its marks left out. Then its small form.
    void add(char32_t c) {
        if (c == 0 || c == 0xFFFD || (is_control(c) && !is_space(c))) return;
        if (is_space(c)) return end_word();
        if (c < 0x80) return add_plain(small(c));
        const bool alone = rules_.chinese_characters_apart && is_chinese(c);
        if (alone) end_word();
        add_parts(c);
        if (alone) end_word();
    }
    void end_word() {
        if (n_characters_ > 0) sink_(std::string_view(word_), n_characters_);
        word_.clear();
        n_characters_ = 0;
    }

  private:
    char32_t small(char32_t c) const {
        if (!rules_.lowercase) return c;
        if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
        return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    }

    void add_parts(char32_t c) {
        constexpr char32_t capital_i_with_dot = 0x130, dot_above = 0x307;  // the only letter whose small form is two characters
        if (!rules_.strip_accents) {
            add_plain(small(c));
            if (rules_.lowercase && c == capital_i_with_dot) add_plain(dot_above);
            return;
        }
        utf8proc_int32_t parts[32];
        int last_boundary = 0;
        const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32, UTF8PROC_DECOMPOSE, &last_boundary);
        for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(n, 32); ++i)
            if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN) add_plain(small(static_cast<char32_t>(parts[i])));
    }

    void add_plain(char32_t c) {
        const bool alone = is_punctuation(c);
        if (alone) end_word();
        // Nobody reads the rest of a word that is too long to be known.
        if (++n_characters_ <= most_characters) append_utf8(word_, c);
        if (alone) end_word();
    }

    Sink sink_;
    WordRules rules_;
    std::string word_;
    size_t n_characters_ = 0;
};

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)),
      lowercase_(vocabulary_.lowercase.value_or(true)),
      strip_accents_(vocabulary_.strip_accents.value_or(lowercase_)),
      chinese_characters_apart_(vocabulary_.chinese_characters_apart) {
    vocabulary_.unk = named(vocabulary_.unk, "[UNK]", TokenKind::control);
    vocabulary_.cls = named(vocabulary_.cls, "[CLS]", TokenKind::control);
    vocabulary_.sep = named(vocabulary_.sep, "[SEP]", TokenKind::control);
    if (!vocabulary_.unk) throw ModelError("the vocabulary is of WordPiece, but has no unknown token");
    bool has_marks = false;
    for (const std::string_view piece : vocabulary_.pieces) {
        longest_piece_ = std::max(longest_piece_, piece.size());
        has_marks = has_marks || piece.starts_with(word_mark);
    }
    (has_marks ? start_mark_ : inner_mark_) = has_marks ? word_mark : std::string_view("##");
    adds_bos_ = vocabulary_.add_bos.value_or(true) && first_token();
    adds_eos_ = vocabulary_.add_eos.value_or(true) && last_token();
}

void WordPiece::append_tokens(std::string_view text, Place, std::vector<TokenId>& tokens) const {
    Words words([&](std::string_view word, size_t n_characters) { append_word(word, n_characters, tokens); },
                WordRules{.lowercase = lowercase_, .strip_accents = strip_accents_, .chinese_characters_apart = chinese_characters_apart_});
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = decode_utf8(text, at);
        if (c.n_bytes) words.add(c.value);
        at += std::max<size_t>(1, c.n_bytes);
    }
    words.end_word();
}

void WordPiece::append_word(std::string_view word, size_t n_characters, std::vector<TokenId>& tokens) const {
    const size_t first = tokens.size();
    std::string rest(start_mark_);
    rest += word;
    while (n_characters <= most_characters) {
        const size_t n_mark = tokens.size() > first ? inner_mark_.size() : start_mark_.size();  // no piece is a mark alone
        // What goes on a word and is spelt like the mark must not be taken for the beginning of another.
        if (tokens.size() > first && !start_mark_.empty() && rest.starts_with(start_mark_)) break;
        int32_t best = -1;
        size_t n = std::min(rest.size(), longest_piece_);
        while (n > n_mark && (best = find_text(std::string_view(rest).substr(0, n))) < 0) --n;
        if (best < 0) break;
        tokens.push_back({best});
        if (n == rest.size()) return;
        rest.replace(0, n, inner_mark_);
    }
    tokens.resize(first);
    tokens.push_back(*vocabulary_.unk);
}

std::string WordPiece::token_bytes(TokenId token, bool render_special) const {
    if (token.value < 0 || token.value >= n_vocab() || (is_hidden(token) && !render_special)) return {};
    const std::string_view piece = vocabulary_.pieces[static_cast<size_t>(token.value)];
    if (kind(token.value) == TokenKind::user_defined) return std::string(" ").append(piece);
    if (kind(token.value) != TokenKind::normal) return std::string(piece);
    const bool is_inner = start_mark_.empty() ? piece.starts_with(inner_mark_) : !piece.starts_with(start_mark_);
    if (is_inner) return std::string(piece.substr(inner_mark_.size()));
    const std::string_view word = piece.substr(start_mark_.size());
    const bool clings = word == "." || word == "," || word == "!" || word == "?";
    return std::string(clings ? "" : " ").append(word);
}

std::string WordPiece::detokenize(std::span<const TokenId> tokens, bool render_special) const {
    std::string text = Tokenizer::detokenize(tokens, render_special);
    if (text.starts_with(' ')) text.erase(0, 1);
    return text;
}

}  // namespace quern
