// All pieces that begin a text, found in one walk: a trie whose nodes keep their children side by side, in order.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace quern {

/// Immutable after construction: any thread.
class PieceTrie {
  public:
    /// Longer pieces are not looked for: it bounds the work per byte of a text, and the longest real ones have about 50 bytes.
    static constexpr size_t longest_piece_bytes = 256;

    /// Pieces with their ids; of equal pieces the lowest id counts. Cost: sorts them.
    explicit PieceTrie(std::vector<std::pair<std::string_view, int32_t>> pieces);

    /// Calls found(n_bytes, id) for every piece that text begins with, the shortest first.
    template <typename Found>
    void for_each_prefix(std::string_view text, Found found) const {
        if (text.empty()) return;
        int32_t node = by_first_byte_[static_cast<uint8_t>(text[0])];
        for (size_t n = 1; node >= 0; ++n) {
            if (const int32_t id = nodes_[static_cast<size_t>(node)].id; id >= 0) found(n, id);
            if (n == text.size()) return;
            node = child(node, static_cast<uint8_t>(text[n]));
        }
    }

  private:
    struct Node {
        int32_t first_child = 0;
        int32_t id = -1;
        uint16_t n_children = 0;
        uint8_t label = 0;
    };

    int32_t child(int32_t node, uint8_t label) const noexcept;

    std::vector<Node> nodes_{1};
    std::array<int32_t, 256> by_first_byte_;  // the root's children; -1: none
};

}  // namespace quern
