#include "text/tokenizer/special_tokens.h"

#include "base/utf8.h"

namespace quern {
namespace {

int32_t number(char byte) { return static_cast<uint8_t>(byte); }

// Unicode's White_Space.
bool is_white_space(char32_t c) {
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t white_space_end(std::string_view text, size_t at) {
    while (at < text.size()) {
        const CodePoint c = decode_utf8(text, at);
        if (c.n_bytes == 0 || !is_white_space(c.value)) break;
        at += c.n_bytes;
    }
    return at;
}

// Where the white space before `end` begins, but not before `begin`.
size_t white_space_begin(std::string_view text, size_t begin, size_t end) {
    while (end > begin) {
        size_t at = end - 1;
        while (at > begin && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
        const CodePoint c = decode_utf8(text, at);
        if (c.n_bytes != end - at || !is_white_space(c.value)) break;
        end = at;
    }
    return end;
}

std::vector<bool> marks_of(const std::vector<TokenId>& ids, size_t n_tokens) {
    std::vector<bool> marks;
    for (const TokenId id : ids) {
        marks.resize(n_tokens);
        marks.at(static_cast<size_t>(id.value)) = true;
    }
    return marks;
}

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary)
    : strips_before_(marks_of(vocabulary.strips_before, vocabulary.pieces.size())),
      strips_behind_(marks_of(vocabulary.strips_behind, vocabulary.pieces.size())) {
    by_first_byte_.fill(-1);
    for (size_t id = 0; id < vocabulary.kinds.size(); ++id) {
        const TokenKind kind = vocabulary.kinds[id];
        const bool control = kind == TokenKind::control || kind == TokenKind::unknown;
        const std::string_view piece = vocabulary.pieces[id];
        if ((control || kind == TokenKind::user_defined) && !piece.empty() && piece.size() <= longest_piece_bytes)
            insert(piece, static_cast<int32_t>(id), control);
    }
}

void SpecialTokens::insert(std::string_view piece, int32_t token, bool control) {
    int32_t node = 0;
    for (const char byte : piece) {
        const auto* child = children_.find(node, number(byte));
        if (!child) {
            const auto created = static_cast<int32_t>(nodes_.size());
            nodes_.emplace_back();
            children_.insert(node, number(byte), created, 0);
            if (node == 0) by_first_byte_[static_cast<uint8_t>(byte)] = created;
            node = created;
        } else {
            node = child->first;
        }
    }
    Node& end = nodes_[static_cast<size_t>(node)];
    int32_t& slot = control ? end.control : end.user_defined;
    if (slot < 0) slot = token;
}

// A control token counts if it ends within `control_bytes`.
SpecialTokens::Found SpecialTokens::longest_at(std::string_view text, size_t at, size_t control_bytes) const {
    Found found;
    int32_t node = by_first_byte_[static_cast<uint8_t>(text[at])];
    for (size_t n = 1; node >= 0; ++n) {
        const Node& here = nodes_[static_cast<size_t>(node)];
        const int32_t token = n <= control_bytes && here.control >= 0 ? here.control : here.user_defined;
        if (token >= 0) found = {{token}, n};
        if (at + n >= text.size()) break;
        const auto* child = children_.find(node, number(text[at + n]));
        node = child ? child->first : -1;
    }
    return found;
}

std::vector<Fragment> SpecialTokens::split(std::string_view text, const TokenizeOptions& options) const {
    std::vector<Fragment> fragments;
    auto literal = options.literal.begin();  // the first range that ends behind `at`
    size_t start = 0;
    for (size_t at = 0; at < text.size();) {
        while (literal != options.literal.end() && literal->end <= at) ++literal;
        Found found;
        if (by_first_byte_[static_cast<uint8_t>(text[at])] >= 0) {
            // A control token may not touch text that is to stay text.
            const size_t control_end = !options.parse_special ? 0 : literal == options.literal.end() ? text.size() : literal->begin;
            found = longest_at(text, at, control_end > at ? control_end - at : 0);
        }
        if (found.n_bytes == 0) {
            ++at;
            continue;
        }
        const size_t begin = strips(strips_before_, found.token) ? white_space_begin(text, start, at) : at;
        at += found.n_bytes;
        if (strips(strips_behind_, found.token)) at = white_space_end(text, at);
        if (begin > start) fragments.push_back({text.substr(start, begin - start), {}});
        fragments.push_back({text.substr(begin, at - begin), found.token});
        start = at;
    }
    if (start < text.size()) fragments.push_back({text.substr(start), {}});
    return fragments;
}

}  // namespace quern
