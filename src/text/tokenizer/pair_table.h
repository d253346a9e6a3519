// An open-addressing hash table from a pair of small integers to a pair of small integers: one flat array, no allocation per entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace quern {

/// Keys are pairs of numbers that are not both -1. Reading from any thread is safe while nobody inserts.
class PairTable {
  public:
    struct Entry {
        uint64_t key = empty_key;
        int32_t first = 0, second = 0;
    };

    /// Makes room for `n` entries at once.
    void reserve(size_t n) {
        size_t n_slots = 16;
        while (n_slots < n * 2) n_slots *= 2;
        if (n_slots > slots_.size()) rehash(n_slots);
    }

    /// An entry that is there already stays as it is.
    void insert(int32_t a, int32_t b, int32_t first, int32_t second) {
        if ((n_entries_ + 1) * 2 > slots_.size()) rehash(slots_.empty() ? 16 : slots_.size() * 2);
        Entry& slot = slots_[place(key_of(a, b))];
        if (slot.key != empty_key) return;
        slot = {key_of(a, b), first, second};
        ++n_entries_;
    }

    /// nullptr if the pair is not there.
    const Entry* find(int32_t a, int32_t b) const noexcept {
        if (slots_.empty()) return nullptr;
        const Entry& slot = slots_[place(key_of(a, b))];
        return slot.key == empty_key ? nullptr : &slot;
    }

  private:
    static constexpr uint64_t empty_key = ~uint64_t{0};

    static uint64_t key_of(int32_t a, int32_t b) {
        return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
    }

    // Where the key is, or the free slot where it belongs. At least half of the slots are free, so the search ends.
    size_t place(uint64_t key) const noexcept {
        const size_t mask = slots_.size() - 1;
        uint64_t hash = key * 0x9E3779B97F4A7C15u;  // 2^64 divided by the golden ratio
        hash ^= hash >> 32;
        size_t at = static_cast<size_t>(hash) & mask;
        while (slots_[at].key != key && slots_[at].key != empty_key) at = (at + 1) & mask;
        return at;
    }

    void rehash(size_t n_slots) {
        const std::vector<Entry> old = std::exchange(slots_, std::vector<Entry>(n_slots));
        for (const Entry& entry : old)
            if (entry.key != empty_key) slots_[place(entry.key)] = entry;
    }

    std::vector<Entry> slots_;
    size_t n_entries_ = 0;
};

}  // namespace quern
