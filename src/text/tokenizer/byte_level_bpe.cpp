#include "text/tokenizer/byte_level_bpe.h"

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/merge_list.h"

namespace quern {
namespace {

/// GPT-2 spells bytes as printable characters: those of Latin-1 that are printable stand for themselves, the others follow from U+0100.
class ByteAlphabet {
  public:
    ByteAlphabet() {
        char32_t next = 0x100;
        for (uint32_t byte = 0; byte < 256; ++byte) {
            const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
            const char32_t c = printable ? byte : next++;
            append_utf8(spelling_[byte], c);
            bytes_.emplace(c, static_cast<uint8_t>(byte));
        }
    }
    const std::string& spelling(uint8_t byte) const { return spelling_[byte]; }
    /// The byte, or -1 for a character outside the alphabet.
    int byte_of(char32_t c) const {
        const auto found = bytes_.find(c);
        return found == bytes_.end() ? -1 : found->second;
    }

  private:
    std::array<std::string, 256> spelling_;
    std::unordered_map<char32_t, uint8_t> bytes_;
};

const ByteAlphabet& alphabet() {
    static const ByteAlphabet instance;
    return instance;
}

uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

constexpr size_t longest_cached_word = 64;

}  // namespace

ByteLevelBpe::ByteLevelBpe(Vocabulary vocabulary) : Tokenizer(std::move(vocabulary)), pre_tokenizer_(vocabulary_.pre) {
    for (size_t byte = 0; byte < 256; ++byte) {
        const auto id = find_piece(alphabet().spelling(static_cast<uint8_t>(byte)));
        byte_tokens_[byte] = id ? id->value : -1;
    }
    load_merges();
    adds_bos_ = vocabulary_.add_bos.value_or(false) && vocabulary_.bos;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos;
}

// "left right"; a merge that names a piece which the vocabulary lacks can never happen and is left out.
void ByteLevelBpe::load_merges() {
    merges_.reserve(vocabulary_.merges.size());
    std::string joined;
    for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
        const std::string_view merge = vocabulary_.merges[rank];
        const size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) throw ModelError(concat("merge ", rank, " has no two parts"));
        const auto left = find_piece(merge.substr(0, space)), right = find_piece(merge.substr(space + 1));
        joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
        const auto merged = find_piece(joined);
        if (left && right && merged)
            merges_.try_emplace(pair_key(left->value, right->value), Merge{static_cast<int32_t>(rank), merged->value});
    }
}

std::optional<TokenId> ByteLevelBpe::whole_word(std::string_view word) const {
    std::string spelling;
    for (const char c : word) spelling += alphabet().spelling(static_cast<uint8_t>(c));
    return find_piece(spelling);
}

void ByteLevelBpe::append_word(std::string_view word, std::vector<TokenId>& tokens) const {
    if (pre_tokenizer_.takes_whole_words() && word.size() <= longest_cached_word)
        if (const auto id = whole_word(word)) return tokens.push_back(*id);
    std::vector<int32_t> symbols;
    symbols.reserve(word.size());
    for (const char c : word) {
        const int32_t id = byte_tokens_[static_cast<uint8_t>(c)];
        if (id >= 0) symbols.push_back(id);  // a byte that the vocabulary lacks is left out, as the originals do
    }
    const auto rank = [&](int32_t left, int32_t right, int32_t& priority, int32_t& merged) {
        const auto found = merges_.find(pair_key(left, right));
        if (found == merges_.end()) return false;
        priority = found->second.rank;
        merged = found->second.merged;
        return true;
    };
    MergeList<int32_t, int32_t, decltype(rank)>(rank).merge(symbols);
    for (const int32_t id : symbols) tokens.push_back({id});
}

void ByteLevelBpe::append_tokens(std::string_view text, bool, std::vector<TokenId>& tokens) const {
    std::unordered_map<std::string_view, std::pair<size_t, size_t>> seen;  // word -> its place in `tokens`
    pre_tokenizer_.split(text, [&](std::string_view word) {
        if (word.size() > longest_cached_word) return append_word(word, tokens);
        const auto [found, is_new] = seen.try_emplace(word, tokens.size(), 0);
        if (is_new) {
            append_word(word, tokens);
            found->second.second = tokens.size();
        } else {
            for (size_t at = found->second.first; at < found->second.second; ++at) tokens.push_back(TokenId(tokens[at]));
        }
    });
}

std::string ByteLevelBpe::token_bytes(TokenId token, bool render_special) const {
    if (token.value < 0 || token.value >= n_vocab() || (is_hidden(token) && !render_special)) return {};
    const std::string_view piece = vocabulary_.pieces[static_cast<size_t>(token.value)];
    if (kind(token.value) != TokenKind::normal) return std::string(piece);
    std::string bytes;
    for (size_t at = 0; at < piece.size();) {
        const CodePoint c = decode_utf8(piece, at);
        const size_t n = std::max<size_t>(1, c.n_bytes);
        const int byte = c.n_bytes ? alphabet().byte_of(c.value) : -1;
        if (byte >= 0)
            bytes += static_cast<char>(byte);
        else
            bytes += piece.substr(at, n);
        at += n;
    }
    return bytes;
}

}  // namespace quern
