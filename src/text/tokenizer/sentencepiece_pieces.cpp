#include "text/tokenizer/sentencepiece_pieces.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

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

}  // namespace

SentencePiecePieces::SentencePiecePieces(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)), adds_space_prefix_(vocabulary_.add_space_prefix.value_or(true)) {
    vocabulary_.unk = named(vocabulary_.unk, "<unk>", TokenKind::unknown);
    vocabulary_.bos = named(vocabulary_.bos, "<s>", TokenKind::control);
    vocabulary_.eos = named(vocabulary_.eos, "</s>", TokenKind::control);
    check_bytes();
    for (size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
        if (!is_text(static_cast<int32_t>(id))) continue;
        const std::string_view piece = vocabulary_.pieces[id];
        longest_piece_ = std::max(longest_piece_, piece.size());
        words_are_apart_ = words_are_apart_ && word_end(piece, 0) == piece.size();
    }
    if (vocabulary_.scores.empty()) vocabulary_.scores.assign(vocabulary_.pieces.size(), 0.0f);
    if (vocabulary_.scores.size() != vocabulary_.pieces.size())
        throw ModelError("the vocabulary has another number of scores than of tokens");
}

void SentencePiecePieces::check_bytes() {
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

void SentencePiecePieces::append_unknown(std::string_view text, bool after_unknown, std::vector<TokenId>& tokens) const {
    const auto id_of = [&](char c) { return byte_tokens_[static_cast<uint8_t>(c)]; };
    if (std::all_of(text.begin(), text.end(), [&](char c) { return id_of(c) >= 0; })) {
        for (const char c : text) tokens.push_back({id_of(c)});
    } else if (!after_unknown) {
        tokens.push_back(*vocabulary_.unk);
    }
}

size_t SentencePiecePieces::word_end(std::string_view text, size_t at) {
    while (text.substr(at).starts_with(space_mark)) at += space_mark.size();
    return std::min(text.find(space_mark, at), text.size());
}

std::string SentencePiecePieces::token_bytes(TokenId token, bool render_special) const {
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

std::string SentencePiecePieces::detokenize(std::span<const TokenId> tokens, bool render_special) const {
    std::string text = Tokenizer::detokenize(tokens, render_special);
    if (adds_space_prefix_ && text.starts_with(' ')) text.erase(0, 1);
    return text;
}

}  // namespace quern
