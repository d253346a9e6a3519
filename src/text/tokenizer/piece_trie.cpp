#include "text/tokenizer/piece_trie.h"

#include <algorithm>

namespace quern {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, int32_t>> pieces) {
    std::erase_if(pieces, [](const auto& each) { return each.first.empty() || each.first.size() > longest_piece_bytes; });
    std::sort(pieces.begin(), pieces.end());
    struct Range {  // of pieces that share the node's bytes
        int32_t node;
        size_t first, last, n_bytes;
    };
    std::vector<Range> level = {{0, 0, pieces.size(), 0}}, next;
    while (!level.empty()) {
        for (const auto& [node, first, last, n_bytes] : level) {
            size_t at = first;
            for (; at < last && pieces[at].first.size() == n_bytes; ++at)
                if (at == first && n_bytes > 0) nodes_[static_cast<size_t>(node)].id = pieces[at].second;
            nodes_[static_cast<size_t>(node)].first_child = static_cast<int32_t>(nodes_.size());
            while (at < last) {
                const char label = pieces[at].first[n_bytes];
                const size_t begin = at;
                while (at < last && pieces[at].first[n_bytes] == label) ++at;
                next.push_back({static_cast<int32_t>(nodes_.size()), begin, at, n_bytes + 1});
                nodes_.push_back({.label = static_cast<uint8_t>(label)});
                ++nodes_[static_cast<size_t>(node)].n_children;
            }
        }
        level.swap(next);
        next.clear();
    }
    by_first_byte_.fill(-1);
    for (int32_t i = 0; i < nodes_[0].n_children; ++i) by_first_byte_[nodes_[static_cast<size_t>(1 + i)].label] = 1 + i;
}

int32_t PieceTrie::child(int32_t node, uint8_t label) const noexcept {
    const Node& parent = nodes_[static_cast<size_t>(node)];
    const auto first = nodes_.begin() + parent.first_child, last = first + parent.n_children;
    const auto found = std::lower_bound(first, last, label, [](const Node& each, uint8_t wanted) { return each.label < wanted; });
    return found != last && found->label == label ? static_cast<int32_t>(found - nodes_.begin()) : -1;
}

}  // namespace quern
