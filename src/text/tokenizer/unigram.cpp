#include "text/tokenizer/unigram.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "text/tokenizer/word_cache.h"

namespace quern {
namespace {

constexpr double unknown_penalty = 10.0;  // below the worst piece, as in SentencePiece

/// Unicode's White_Space.
bool is_space(char32_t c) {
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    if (c == 0x85) return true;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

}  // namespace

Unigram::Unigram(Vocabulary vocabulary)
    : SentencePiecePieces(std::move(vocabulary)),
      removes_extra_spaces_(vocabulary_.remove_extra_whitespaces.value_or(false)),
      charsmap_(vocabulary_.normalizer_charsmap),
      trie_(make_trie()) {
    vocabulary_.normalizer_charsmap = {};
    adds_bos_ = vocabulary_.add_bos.value_or(false) && first_token();
    adds_eos_ = vocabulary_.add_eos.value_or(true) && last_token();
}

PieceTrie Unigram::make_trie() {
    std::vector<std::pair<std::string_view, int32_t>> pieces;
    float worst = 0.0f;
    for (size_t i = 0; i < vocabulary_.pieces.size(); ++i) {
        const auto id = static_cast<int32_t>(i);
        if (!is_text(id) || kind(id) == TokenKind::unused) continue;
        const std::string_view piece = vocabulary_.pieces[i];
        pieces.emplace_back(piece, id);
        worst = std::min(worst, vocabulary_.scores[i]);
        marks_begin_words_ = marks_begin_words_ && piece.find(space_mark, 1) == std::string_view::npos;
    }
    unknown_score_ = static_cast<double>(worst) - unknown_penalty;
    return PieceTrie(std::move(pieces));
}

// Spaces as marks: each of them, or where extra ones are removed, one between two words.
std::string Unigram::normalize(std::string_view text, Place place) const {
    std::string plain, marked;
    charsmap_.append_normalized(text, plain);
    marked.reserve(plain.size() * 3 / 2 + 3);
    bool mark_is_due = adds_space_prefix_ && place != Place::behind_text && (removes_extra_spaces_ || !plain.starts_with(' '));
    for (size_t at = 0; at < plain.size();) {
        const CodePoint c = decode_utf8(plain, at);
        const std::string_view character = std::string_view(plain).substr(at, std::max<size_t>(1, c.n_bytes));
        at += character.size();
        if (removes_extra_spaces_ && is_space(c.value)) {
            mark_is_due = mark_is_due || !marked.empty();
            continue;
        }
        if (mark_is_due && character != space_mark) marked += space_mark;
        mark_is_due = false;
        marked += c.value == ' ' ? space_mark : character;
    }
    return marked;
}

void Unigram::append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const {
    const std::string marked = normalize(text, place);
    std::vector<Arc> arcs;
    WordCache cache(tokens);
    for (size_t at = 0; at < marked.size();) {
        const size_t end = marks_begin_words_ ? std::min(marked.find(space_mark, at + 1), marked.size()) : marked.size();
        cache.append(std::string_view(marked).substr(at, end - at), [&](std::string_view fresh) { append_word(fresh, arcs, tokens); });
        at = end;
    }
}

// Cost: the word's bytes times those of the longest piece.
void Unigram::append_word(std::string_view word, std::vector<Arc>& arcs, std::vector<TokenId>& tokens) const {
    arcs.assign(word.size() + 1, Arc{});
    for (size_t at = 0; at < word.size();) {
        const size_t n_character = std::max<size_t>(1, decode_utf8(word, at).n_bytes);
        const double so_far = arcs[at].score;
        const auto offer = [&](size_t n, double score, int32_t piece) {
            Arc& arc = arcs[at + n];
            if (arc.piece == Arc::none || so_far + score > arc.score) arc = {so_far + score, at, piece};
        };
        bool is_known = false;
        trie_.for_each_prefix(word.substr(at), [&](size_t n, int32_t piece) {
            offer(n, static_cast<double>(vocabulary_.scores[static_cast<size_t>(piece)]), piece);
            is_known = is_known || n == n_character;
        });
        if (!is_known) offer(n_character, unknown_score_, Arc::unknown);
        at += n_character;
    }
    append_best(word, arcs, tokens);
}

// Neighbouring characters that are in no piece count as one.
void Unigram::append_best(std::string_view word, std::span<const Arc> arcs, std::vector<TokenId>& tokens) const {
    std::vector<size_t> ends;
    for (size_t end = word.size(); end > 0; end = arcs[end].begin) ends.push_back(end);
    size_t unknown_begin = 0;
    bool in_unknown = false;
    for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
        const Arc& arc = arcs[*end];
        const bool is_unknown = arc.piece == Arc::unknown;
        if (is_unknown && !in_unknown) unknown_begin = arc.begin;
        if (!is_unknown && in_unknown) append_unknown(word.substr(unknown_begin, arc.begin - unknown_begin), false, tokens);
        if (!is_unknown) tokens.push_back({arc.piece});
        in_unknown = is_unknown;
    }
    if (in_unknown) append_unknown(word.substr(unknown_begin), false, tokens);
}

}  // namespace quern
