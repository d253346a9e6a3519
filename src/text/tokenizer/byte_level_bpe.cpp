#include "text/tokenizer/byte_level_bpe.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/merge_list.h"
#include "text/tokenizer/normal_form.h"
#include "text/tokenizer/word_cache.h"

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

}  // namespace

ByteLevelBpe::ByteLevelBpe(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)),
      pre_tokenizer_(vocabulary_.pre_patterns.empty() ? PreTokenizer(vocabulary_.pre)
                                                      : PreTokenizer(vocabulary_.pre_patterns, vocabulary_.takes_whole_words)) {
    bool has_bytes = false, has_text = false;
    for (size_t byte = 0; byte < 256; ++byte) {
        byte_tokens_[byte] = find_text(alphabet().spelling(static_cast<uint8_t>(byte)));
        has_bytes = has_bytes || byte_tokens_[byte] >= 0;
    }
    for (int32_t id = 0; id < n_vocab(); ++id) has_text = has_text || is_text(id);
    if (has_text && !has_bytes) throw ModelError("the vocabulary is of byte-level BPE, but no token stands for a single byte");
    for (const std::string_view piece : vocabulary_.pieces) longest_piece_ = std::max(longest_piece_, piece.size());
    load_merges();
    adds_bos_ = vocabulary_.add_bos.value_or(pre_tokenizer_.adds_bos()) && vocabulary_.bos;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos;
}

// "left right"; a merge that names a piece which the vocabulary lacks can never happen and is left out.
void ByteLevelBpe::load_merges() {
    const size_t n_merges = vocabulary_.merges.size();
    if (n_merges > static_cast<size_t>(std::numeric_limits<int32_t>::max())) throw ModelError("the vocabulary has more merges than ranks");
    merges_.reserve(n_merges);
    std::string joined;
    int32_t merged = -1;
    for (size_t rank = 0; rank < n_merges; ++rank) {
        const std::string_view merge = vocabulary_.merges[rank];
        const size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) throw ModelError(concat("merge ", rank, " has no two parts"));
        const int32_t left = find_text(merge.substr(0, space)), right = find_text(merge.substr(space + 1));
        if (left < 0 || right < 0) continue;
        joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
        // Trainers give ids in the order of the merges, so the next id is worth a look before the hash table.
        const int32_t next = merged + 1;
        const bool is_next = next < n_vocab() && is_text(next) && vocabulary_.pieces[static_cast<size_t>(next)] == joined;
        const int32_t found = is_next ? next : find_text(joined);
        if (found < 0) continue;
        merged = found;
        merges_.insert(left, right, static_cast<int32_t>(rank), merged);
    }
}

// The id of the word as one piece, or -1.
int32_t ByteLevelBpe::whole_word(std::string_view word) const {
    if (word.size() > longest_piece_) return -1;
    std::string spelling;
    for (const char c : word) spelling += alphabet().spelling(static_cast<uint8_t>(c));
    return find_text(spelling);
}

void ByteLevelBpe::append_word(std::string_view word, std::vector<TokenId>& tokens) const {
    if (pre_tokenizer_.takes_whole_words())
        if (const int32_t id = whole_word(word); id >= 0) return tokens.push_back({id});
    std::vector<int32_t> symbols;
    symbols.reserve(word.size());
    for (const char c : word) {
        const int32_t id = byte_tokens_[static_cast<uint8_t>(c)];
        if (id >= 0) symbols.push_back(id);  // a byte that the vocabulary lacks is left out, as the originals do
    }
    const auto rank = [&](int32_t left, int32_t right, int32_t& priority, int32_t& merged) {
        const PairTable::Entry* found = merges_.find(left, right);
        if (!found) return false;
        priority = found->first;
        merged = found->second;
        return true;
    };
    MergeList<int32_t, int32_t, decltype(rank)>(rank).merge(symbols);
    for (const int32_t id : symbols) tokens.push_back({id});
}

void ByteLevelBpe::append_tokens(std::string_view text, Place, std::vector<TokenId>& tokens) const {
    WordCache cache(tokens);
    const std::string normal = vocabulary_.normalizes_to_nfc ? to_nfc(text) : std::string();
    pre_tokenizer_.split(vocabulary_.normalizes_to_nfc ? normal : text,
                         [&](std::string_view word) { cache.append(word, [&](std::string_view fresh) { append_word(fresh, tokens); }); });
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
