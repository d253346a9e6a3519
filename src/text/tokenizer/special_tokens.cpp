#include "text/tokenizer/special_tokens.h"

#include <algorithm>

namespace quern {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : by_first_byte_(256, -1) {
    for (size_t id = 0; id < vocabulary.kinds.size(); ++id) {
        const TokenKind kind = vocabulary.kinds[id];
        const bool control = kind == TokenKind::control || kind == TokenKind::unknown;
        if ((control || kind == TokenKind::user_defined) && !vocabulary.pieces[id].empty())
            insert(vocabulary.pieces[id], {static_cast<int32_t>(id)}, control);
    }
    for (int32_t node = nodes_[0].first_child; node >= 0; node = nodes_[static_cast<size_t>(node)].next_sibling)
        by_first_byte_[static_cast<uint8_t>(nodes_[static_cast<size_t>(node)].byte)] = node;
}

int32_t SpecialTokens::child(int32_t node, char byte) const {
    int32_t each = nodes_[static_cast<size_t>(node)].first_child;
    while (each >= 0 && nodes_[static_cast<size_t>(each)].byte != byte) each = nodes_[static_cast<size_t>(each)].next_sibling;
    return each;
}

void SpecialTokens::insert(std::string_view piece, TokenId token, bool control) {
    int32_t node = 0;
    for (const char byte : piece) {
        int32_t next = child(node, byte);
        if (next < 0) {
            next = static_cast<int32_t>(nodes_.size());
            nodes_.push_back({.next_sibling = nodes_[static_cast<size_t>(node)].first_child, .byte = byte});
            nodes_[static_cast<size_t>(node)].first_child = next;
        }
        node = next;
    }
    Node& end = nodes_[static_cast<size_t>(node)];
    if (end.token.value >= 0) return;  // the first of two equal pieces is the one that is found
    end.token = token;
    end.control = control;
}

SpecialTokens::Found SpecialTokens::longest_at(std::string_view text, size_t at, bool control) const {
    Found found;
    int32_t node = by_first_byte_[static_cast<uint8_t>(text[at])];
    for (size_t n = 1; node >= 0; ++n) {
        const Node& here = nodes_[static_cast<size_t>(node)];
        if (here.token.value >= 0 && (control || !here.control)) found = {here.token, n};
        if (at + n >= text.size()) break;
        node = child(node, text[at + n]);
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
            found = longest_at(text, at, options.parse_special);
            // A control token may not touch text that is to stay text.
            if (found.n_bytes && literal != options.literal.end() && literal->begin < at + found.n_bytes)
                found = longest_at(text, at, false);
        }
        if (found.n_bytes == 0) {
            ++at;
            continue;
        }
        if (at > start) fragments.push_back({text.substr(start, at - start), {}});
        fragments.push_back({text.substr(at, found.n_bytes), found.token});
        at += found.n_bytes;
        start = at;
    }
    if (start < text.size()) fragments.push_back({text.substr(start), {}});
    return fragments;
}

}  // namespace quern
