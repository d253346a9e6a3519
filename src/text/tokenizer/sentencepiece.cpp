#include "text/tokenizer/sentencepiece.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/merge_list.h"
#include "text/tokenizer/word_cache.h"

namespace quern {
namespace {

constexpr std::string_view space_mark = "\xE2\x96\x81";  // U+2581

// The value of "<0x1F>", or -1 for any other piece.
int byte_of_piece(std::string_view piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
    int value = 0;
    for (const char c : piece.substr(3, 2)) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

std::string mark_spaces(std::string_view text, bool prefix) {
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

// A space mark in the middle of the text begins a word.
size_t space_begin(std::string_view text, size_t at) { return std::min(text.find(space_mark, at + 1), text.size()); }

// Where the next space mark behind another character begins, or the end.
size_t word_end(std::string_view text, size_t at) {
    while (text.substr(at).starts_with(space_mark)) at += space_mark.size();
    return std::min(text.find(space_mark, at), text.size());
}

}  // namespace

SentencePiece::SentencePiece(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)), adds_space_prefix_(vocabulary_.add_space_prefix.value_or(true)) {
    vocabulary_.unk = named(vocabulary_.unk, "<unk>", TokenKind::unknown);
    vocabulary_.bos = named(vocabulary_.bos, "<s>", TokenKind::control);
    vocabulary_.eos = named(vocabulary_.eos, "</s>", TokenKind::control);
    check_bytes();
    load_merges();
    for (size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
        if (!is_text(static_cast<int32_t>(id))) continue;
        const std::string_view piece = vocabulary_.pieces[id];
        longest_piece_ = std::max(longest_piece_, piece.size());
        has_unused_ = has_unused_ || vocabulary_.kinds[id] == TokenKind::unused;
        words_are_apart_ = words_are_apart_ && word_end(piece, 0) == piece.size();
    }
    if (vocabulary_.scores.empty()) vocabulary_.scores.assign(vocabulary_.pieces.size(), 0.0f);
    if (vocabulary_.scores.size() != vocabulary_.pieces.size())
        throw ModelError("the vocabulary has another number of scores than of tokens");
    adds_bos_ = vocabulary_.add_bos.value_or(true) && vocabulary_.bos;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos;
}

void SentencePiece::check_bytes() {
    byte_tokens_.fill(-1);
    for (size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
        if (vocabulary_.kinds[id] != TokenKind::byte) continue;
        const int byte = byte_of_piece(vocabulary_.pieces[id]);
        if (byte < 0) throw ModelError(concat("token ", id, " is of type byte, but its text is not <0x00> to <0xFF>"));
        byte_tokens_[static_cast<size_t>(byte)] = static_cast<int32_t>(id);
    }
    const bool complete = std::find(byte_tokens_.begin(), byte_tokens_.end(), -1) == byte_tokens_.end();
    if (!complete && !vocabulary_.unk)
        throw ModelError("the vocabulary has neither a token for each byte nor an unknown token, so some texts have no tokens");
}

// What is in no piece: a token for each byte, or where one is missing, the unknown token, once for a whole run.
void SentencePiece::append_unknown(std::string_view text, bool after_unknown, std::vector<TokenId>& tokens) const {
    const auto id_of = [&](char c) { return byte_tokens_[static_cast<uint8_t>(c)]; };
    if (std::all_of(text.begin(), text.end(), [&](char c) { return id_of(c) >= 0; })) {
        for (const char c : text) tokens.push_back({id_of(c)});
    } else if (!after_unknown) {
        tokens.push_back(*vocabulary_.unk);
    }
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

bool SentencePiece::puts_space_before(std::string_view text, bool at_start) const {
    if (!adds_space_prefix_ || vocabulary_.space_prefix == SpacePrefix::fragments) return adds_space_prefix_;
    return (at_start || vocabulary_.space_prefix == SpacePrefix::fragment_words) && !text.starts_with(' ') && !text.starts_with(space_mark);
}

void SentencePiece::append_tokens(std::string_view text, bool at_start, std::vector<TokenId>& tokens) const {
    const std::string marked = mark_spaces(text, puts_space_before(text, at_start));
    WordCache cache(tokens);
    for (size_t at = 0; at < marked.size();) {
        const size_t end = vocabulary_.splits_at_spaces ? space_begin(marked, at) : words_are_apart_ ? word_end(marked, at) : marked.size();
        const std::string_view word = std::string_view(marked).substr(at, end - at);
        cache.append(word, [&](std::string_view fresh) { append_word(fresh, tokens); });
        at = end;
    }
}

std::string SentencePiece::token_bytes(TokenId token, bool render_special) const {
    if (token.value < 0 || token.value >= n_vocab() || (is_hidden(token) && !render_special)) return {};
    const std::string_view piece = vocabulary_.pieces[static_cast<size_t>(token.value)];
    switch (kind(token.value)) {
        case TokenKind::byte:
            return std::string(1, static_cast<char>(byte_of_piece(piece)));
        case TokenKind::normal:
        case TokenKind::user_defined:  // Gemma has runs of spaces among them
            break;
        default:
            return std::string(piece);
    }
    std::string bytes;
    for (size_t at = 0; at < piece.size();) {
        const bool mark = piece.substr(at).starts_with(space_mark);
        bytes += mark ? ' ' : piece[at];
        at += mark ? space_mark.size() : 1;
    }
    return bytes;
}

std::string SentencePiece::detokenize(std::span<const TokenId> tokens, bool render_special) const {
    std::string text = Tokenizer::detokenize(tokens, render_special);
    if (adds_space_prefix_ && text.starts_with(' ')) text.erase(0, 1);
    return text;
}

}  // namespace quern
