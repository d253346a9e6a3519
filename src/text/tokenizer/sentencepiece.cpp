#include "text/tokenizer/sentencepiece.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/merge_list.h"
#include "text/tokenizer/word_cache.h"

namespace quern {
namespace {

std::string mark_spaces(std::string_view text, std::string_view space_mark, bool prefix) {
    std::string marked;
    marked.reserve(text.size() * 3 / 2 + 3);
    if (prefix) marked += space_mark;
    for (const char c : text) {
        if (c == ' ')
            marked += space_mark;
        else
            marked += c;
    }
    return marked;
}

}  // namespace

SentencePiece::SentencePiece(Vocabulary vocabulary) : SentencePiecePieces(std::move(vocabulary)) {
    load_merges();
    has_unused_ = std::find(vocabulary_.kinds.begin(), vocabulary_.kinds.end(), TokenKind::unused) != vocabulary_.kinds.end();
    adds_bos_ = vocabulary_.add_bos.value_or(true) && vocabulary_.bos;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos;
}

// "left right"; a merge of pieces that the vocabulary lacks can never happen.
void SentencePiece::load_merges() {
    if (vocabulary_.merges.size() >= size_t{1} << 24) throw ModelError("the vocabulary has more merges than ranks");  // exact in f32
    for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
        const std::string_view merge = vocabulary_.merges[rank];
        const size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) throw ModelError(concat("merge ", rank, " has no two parts"));
        const int32_t left = find_text(merge.substr(0, space)), right = find_text(merge.substr(space + 1));
        if (left >= 0 && right >= 0) merges_.insert(left, right, static_cast<int32_t>(rank), 0);
    }
}

bool SentencePiece::rank_by_score(int32_t merged, float& priority) const {
    const float score = vocabulary_.scores[static_cast<size_t>(merged)];
    priority = score == score ? -score : 0.0f;  // a NaN would break the heap's order
    return true;
}

bool SentencePiece::rank_by_merges(std::string_view left, std::string_view right, float& priority) const {
    const int32_t l = find_text(left), r = find_text(right);
    const PairTable::Entry* found = l >= 0 && r >= 0 ? merges_.find(l, r) : nullptr;
    if (found) priority = static_cast<float>(found->first);
    return found != nullptr;
}

struct SentencePiece::Symbols {
    size_t first_token;  // of the word
    /// The parts that an unused piece came from: it may be merged further, but never comes out.
    std::unordered_map<std::string_view, size_t> first_part_bytes;
};

// A depth of at most the piece's length: each part is shorter.
void SentencePiece::append_symbol(std::string_view symbol, const Symbols& symbols, std::vector<TokenId>& tokens) const {
    const int32_t id = find_text(symbol);
    if (id < 0) {
        const bool after_unknown = tokens.size() > symbols.first_token && tokens.back() == vocabulary_.unk;
        return append_unknown(symbol, after_unknown, tokens);
    }
    if (has_unused_ && kind(id) == TokenKind::unused) {
        const auto parts = symbols.first_part_bytes.find(symbol);
        if (parts != symbols.first_part_bytes.end()) {
            append_symbol(symbol.substr(0, parts->second), symbols, tokens);
            return append_symbol(symbol.substr(parts->second), symbols, tokens);
        }
    }
    tokens.push_back({id});
}

void SentencePiece::append_word(std::string_view word, std::vector<TokenId>& tokens) const {
    std::vector<std::string_view> parts;
    parts.reserve(word.size());
    for (size_t at = 0; at < word.size();) {
        const size_t n = std::max<size_t>(1, decode_utf8(word, at).n_bytes);  // a stray byte stands alone
        parts.push_back(word.substr(at, n));
        at += n;
    }
    Symbols symbols{.first_token = tokens.size(), .first_part_bytes = {}};
    const auto rank = [&](std::string_view left, std::string_view right, float& priority, std::string_view& merged) {
        if (left.size() + right.size() > longest_piece_) return false;
        merged = {left.data(), left.size() + right.size()};
        const int32_t id = find_text(merged);
        if (id < 0 || !(vocabulary_.merges.empty() ? rank_by_score(id, priority) : rank_by_merges(left, right, priority))) return false;
        if (has_unused_ && kind(id) == TokenKind::unused) symbols.first_part_bytes.insert_or_assign(merged, left.size());
        return true;
    };
    MergeList<std::string_view, float, decltype(rank)>(rank).merge(parts);
    for (const std::string_view part : parts) append_symbol(part, symbols, tokens);
}

bool SentencePiece::puts_space_before(std::string_view text, Place place) const {
    if (!adds_space_prefix_ || place == Place::behind_text) return false;
    if (vocabulary_.space_prefix == SpacePrefix::fragments) return true;
    return (place == Place::text_begin || vocabulary_.space_prefix == SpacePrefix::fragment_words) && !text.starts_with(' ') &&
           !text.starts_with(space_mark);
}

void SentencePiece::append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const {
    const std::string marked = mark_spaces(text, space_mark, puts_space_before(text, place));
    WordCache cache(tokens);
    for (size_t at = 0; at < marked.size();) {
        const size_t end = vocabulary_.splits_at_spaces ? std::min(marked.find(space_mark, at + 1), marked.size())
                           : words_are_apart_           ? word_end(marked, at)
                                                        : marked.size();
        const std::string_view word = std::string_view(marked).substr(at, end - at);
        cache.append(word, [&](std::string_view fresh) { append_word(fresh, tokens); });
        at = end;
    }
}

}  // namespace quern
