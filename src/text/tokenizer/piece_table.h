// An open-addressing hash table from the bytes of a piece to its id: one flat array beside the vocabulary, no copies of the pieces.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace quern {

/// Immutable after construction: any thread.
class PieceTable {
  public:
    /// The pieces and their bytes must outlive the table. Among equal pieces the first is found.
    explicit PieceTable(std::span<const std::string_view> pieces);

    /// The id, or -1.
    int32_t find(std::string_view piece) const noexcept;

  private:
    struct Slot {
        uint32_t hash = 0;
        int32_t id = -1;
    };

    size_t place(std::string_view piece, uint64_t hash) const noexcept;

    std::span<const std::string_view> pieces_;
    std::vector<Slot> slots_;
};

}  // namespace quern
