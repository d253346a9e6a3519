#include "text/tokenizer/piece_table.h"

#include <cstring>

namespace quern {
namespace {

template <typename Word>
uint64_t load(const char* bytes) {
    Word word;
    std::memcpy(&word, bytes, sizeof(word));
    return word;
}

// Multiply and fold, 8 bytes at a time; the last step takes 1 to 8 bytes with overlapping loads.
uint64_t hash_of(std::string_view text) {
    constexpr uint64_t odd = 0x9E3779B97F4A7C15u;
    const char* at = text.data();
    size_t n = text.size();
    uint64_t hash = n * odd;
    const auto add = [&](uint64_t word) {
        hash = (hash ^ word) * odd;
        hash ^= hash >> 29;
    };
    for (; n > 8; n -= 8, at += 8) add(load<uint64_t>(at));
    if (n >= 4) {
        add(load<uint32_t>(at) | load<uint32_t>(at + n - 4) << 32);
    } else if (n > 0) {
        const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(at[i])); };
        add(byte(0) | byte(n / 2) << 8 | byte(n - 1) << 16);
    }
    return hash ^ hash >> 32;
}

}  // namespace

PieceTable::PieceTable(std::span<const std::string_view> pieces) : pieces_(pieces) {
    size_t n_slots = 16;
    while (n_slots < pieces.size() * 2) n_slots *= 2;
    slots_.resize(n_slots);
    for (size_t id = 0; id < pieces.size(); ++id) {
        const uint64_t hash = hash_of(pieces[id]);
        Slot& slot = slots_[place(pieces[id], hash)];
        if (slot.id < 0) slot = {static_cast<uint32_t>(hash >> 32), static_cast<int32_t>(id)};
    }
}

// Where the piece is, or the free slot where it belongs. At least half of the slots are free, so the search ends.
size_t PieceTable::place(std::string_view piece, uint64_t hash) const noexcept {
    const size_t mask = slots_.size() - 1;
    const auto tag = static_cast<uint32_t>(hash >> 32);
    size_t at = static_cast<size_t>(hash) & mask;
    while (slots_[at].id >= 0 && !(slots_[at].hash == tag && pieces_[static_cast<size_t>(slots_[at].id)] == piece)) at = (at + 1) & mask;
    return at;
}

int32_t PieceTable::find(std::string_view piece) const noexcept { return slots_[place(piece, hash_of(piece))].id; }

}  // namespace quern
