#include "text/tokenizer/wordpiece.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace quern {
namespace {

constexpr std::string_view word_mark = "\xE2\x96\x81";  // U+2581
constexpr size_t most_characters = 100;                 // a longer word is unknown as a whole, as in the original

bool is_chinese(char32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_space(char32_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ZS;
}

bool is_control(char32_t c) {
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
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
    if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126)) return true;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/// Collects characters into words.
class Words {
  public:
    void add(char32_t c) { append_utf8(current_, c); }
    void add_alone(char32_t c) {
        end_word();
        add(c);
        end_word();
    }
    void end_word() {
        if (!current_.empty()) words_.push_back(std::move(current_));
        current_.clear();
    }
    std::vector<std::string> take() {
        end_word();
        return std::move(words_);
    }

  private:
    std::string current_;
    std::vector<std::string> words_;
};

// Lower case without accents: canonical decomposition of each character, its marks left out, then its small form.
void add_character(char32_t c, Words& words) {
    if (c == 0 || c == 0xFFFD || (is_control(c) && !is_space(c))) return;
    if (is_space(c)) return words.end_word();
    if (is_chinese(c)) return words.add_alone(c);
    utf8proc_int32_t parts[32];
    int last_boundary = 0;
    const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32, UTF8PROC_DECOMPOSE, &last_boundary);
    for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(n, 32); ++i) {
        if (utf8proc_category(parts[i]) == UTF8PROC_CATEGORY_MN) continue;
        const auto small = static_cast<char32_t>(utf8proc_tolower(parts[i]));
        if (is_punctuation(small))
            words.add_alone(small);
        else
            words.add(small);
    }
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary) : Tokenizer(std::move(vocabulary)) {
    for (const std::string_view piece : vocabulary_.pieces) longest_piece_ = std::max(longest_piece_, piece.size());
    adds_bos_ = vocabulary_.add_bos.value_or(true) && first_token();
    adds_eos_ = vocabulary_.add_eos.value_or(true) && last_token();
}

void WordPiece::append_tokens(std::string_view text, bool, std::vector<TokenId>& tokens) const {
    Words words;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = decode_utf8(text, at);
        if (c.n_bytes) add_character(c.value, words);
        at += std::max<size_t>(1, c.n_bytes);
    }
    for (const std::string& word : words.take()) append_word(word, tokens);
}

void WordPiece::append_word(std::string_view word, std::vector<TokenId>& tokens) const {
    const size_t first = tokens.size();
    const auto n_characters = std::count_if(word.begin(), word.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
    const std::string marked = std::string(word_mark) + std::string(word);
    std::string_view rest = marked;
    while (!rest.empty() && n_characters <= static_cast<std::ptrdiff_t>(most_characters)) {
        std::optional<TokenId> best;
        size_t n = std::min(rest.size(), longest_piece_);
        for (; n > 0 && !best; --n) best = find_piece(rest.substr(0, n));
        if (!best) break;
        tokens.push_back(*best);
        rest.remove_prefix(n + 1);
    }
    if (rest.empty()) return;
    tokens.resize(first);
    if (vocabulary_.unk) tokens.push_back(*vocabulary_.unk);
}

std::string WordPiece::token_bytes(TokenId token, bool render_special) const {
    if (token.value < 0 || token.value >= n_vocab() || (is_hidden(token) && !render_special)) return {};
    const std::string_view piece = vocabulary_.pieces[static_cast<size_t>(token.value)];
    if (!piece.starts_with(word_mark)) return std::string(piece);
    return " " + std::string(piece.substr(word_mark.size()));
}

std::string WordPiece::detokenize(std::span<const TokenId> tokens, bool render_special) const {
    std::string text = Tokenizer::detokenize(tokens, render_special);
    if (text.starts_with(' ')) text.erase(0, 1);
    return text;
}

}  // namespace quern
