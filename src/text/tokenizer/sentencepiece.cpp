#include "text/tokenizer/sentencepiece.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/merge_list.h"

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

}  // namespace

SentencePiece::SentencePiece(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)), adds_space_prefix_(vocabulary_.add_space_prefix.value_or(true)) {
    byte_tokens_.fill(-1);
    for (size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
        longest_piece_ = std::max(longest_piece_, vocabulary_.pieces[id].size());
        if (kind(static_cast<int32_t>(id)) != TokenKind::byte) continue;
        const int byte = byte_of_piece(vocabulary_.pieces[id]);
        if (byte < 0) throw ModelError(concat("token ", id, " is of type byte, but its text is not <0x00> to <0xFF>"));
        byte_tokens_[static_cast<size_t>(byte)] = static_cast<int32_t>(id);
    }
    if (vocabulary_.scores.empty()) vocabulary_.scores.assign(vocabulary_.pieces.size(), 0.0f);
    if (vocabulary_.scores.size() != vocabulary_.pieces.size())
        throw ModelError("the vocabulary has another number of scores than of tokens");
    adds_bos_ = vocabulary_.add_bos.value_or(true) && vocabulary_.bos;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos;
}

void SentencePiece::append_bytes(std::string_view text, std::vector<TokenId>& tokens) const {
    for (const char c : text) {
        const int32_t id = byte_tokens_[static_cast<uint8_t>(c)];
        if (id >= 0)
            tokens.push_back({id});
        else if (vocabulary_.unk)
            tokens.push_back(*vocabulary_.unk);
    }
}

void SentencePiece::append_tokens(std::string_view text, bool after_special, std::vector<TokenId>& tokens) const {
    const std::string marked = mark_spaces(text, adds_space_prefix_ && after_special);
    const std::string_view all = marked;
    std::vector<std::string_view> symbols;
    symbols.reserve(all.size());
    for (size_t at = 0; at < all.size();) {
        const size_t n = std::max<size_t>(1, decode_utf8(all, at).n_bytes);  // a stray byte stands alone
        symbols.push_back(all.substr(at, n));
        at += n;
    }
    const auto rank = [&](std::string_view left, std::string_view right, float& priority, std::string_view& merged) {
        if (left.size() + right.size() > longest_piece_) return false;
        merged = {left.data(), left.size() + right.size()};
        const auto id = find_piece(merged);
        if (!id) return false;
        const float score = vocabulary_.scores[static_cast<size_t>(id->value)];
        priority = score == score ? -score : 0.0f;  // a NaN would break the heap's order
        return true;
    };
    MergeList<std::string_view, float, decltype(rank)>(rank).merge(symbols);
    for (const std::string_view symbol : symbols) {
        if (const auto id = find_piece(symbol))
            tokens.push_back(*id);
        else
            append_bytes(symbol, tokens);
    }
}

std::string SentencePiece::token_bytes(TokenId token, bool render_special) const {
    if (token.value < 0 || token.value >= n_vocab() || (is_hidden(token) && !render_special)) return {};
    const std::string_view piece = vocabulary_.pieces[static_cast<size_t>(token.value)];
    switch (kind(token.value)) {
        case TokenKind::byte:
            return std::string(1, static_cast<char>(byte_of_piece(piece)));
        case TokenKind::unknown:
            return render_special ? std::string(piece) : std::string("\xE2\x96\x85");  // as SentencePiece shows it
        case TokenKind::normal:
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
