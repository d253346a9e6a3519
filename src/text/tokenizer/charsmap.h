// SentencePiece's precompiled normalizer: a trie from the bytes of characters to what replaces them, most often Unicode's NFKC and more.
// Layout: bytes of the trie (u32), the trie as a double array (of units of u32, as the library Darts-clone keeps it), then the
// replacements, each ended by a zero byte; all little-endian. Source: sentencepiece's normalizer.cc, darts.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// Immutable: any thread. The map comes from a file: whatever it holds, looking something up ends within the bytes of the key, and what
/// replaces a character has at most most_replaced_bytes bytes.
class Charsmap {
  public:
    static constexpr size_t most_replaced_bytes = 256;  // the longest that NFKC makes has 33

    Charsmap() = default;  ///< changes nothing
    /// @param map  may be empty: changes nothing
    /// @throws ModelError  when the trie does not fit in the map
    explicit Charsmap(std::span<const char> map);

    /// Appends what the text becomes; bytes that are no UTF-8 become U+FFFD. Like the package `tokenizers`, this looks up short grapheme
    /// clusters first, of which the shortest beginning that the map knows stands for the whole, and single characters otherwise.
    void append_normalized(std::string_view text, std::string& out) const;

  private:
    std::optional<std::string_view> find(std::string_view key) const noexcept;
    void append_cluster(std::string_view cluster, std::string& out) const;
    uint32_t unit(size_t index) const noexcept { return index < units_.size() ? units_[index] : 0; }

    std::vector<uint32_t> units_;
    std::string replacements_;
};

}  // namespace quern
