#include "kernels/quant/i/codebooks.h"

#include <memory>

#include "kernels/quant/i/iq_grids.h"

namespace quern {
namespace {

/// Keeps the nearest entries so far, in order; of equally near ones those that came first.
class Nearest {
  public:
    void add(int entry, uint16_t code, float distance) {
        if (n_ == n_near && !(distance < distances_[n_ - 1])) return;
        int at = n_ < n_near ? n_++ : n_ - 1;
        for (; at > 0 && distance < distances_[at - 1]; --at) {
            distances_[at] = distances_[at - 1];
            found_.codes[at] = found_.codes[at - 1];
            found_.entries[at] = found_.entries[at - 1];
        }
        distances_[at] = distance;
        found_.codes[at] = code;
        found_.entries[at] = static_cast<uint16_t>(entry);
    }
    const NearEntries& found() const { return found_; }

  private:
    int n_ = 0;
    float distances_[n_near];
    NearEntries found_{};
};

std::unique_ptr<const TripleBook> make_triples(const uint64_t* grid, int n_entries, bool is_iq1) {
    auto book = std::make_unique<TripleBook>();
    for (int l = 0; l < 3; ++l) book->levels[l] = is_iq1 ? static_cast<float>(l - 1) : l == 0 ? 8.0f : l == 1 ? 25.0f : 43.0f;
    for (int l = 0; l < 2; ++l) book->thresholds[l] = 0.5f * (book->levels[l] + book->levels[l + 1]);
    for (int bits = 0; bits < 256; ++bits) {
        book->powers[bits] = 0;
        for (int j = 7; j >= 0; --j) book->powers[bits] = static_cast<uint16_t>(3 * book->powers[bits] + (bits >> j & 1));
    }
    uint16_t codes[2048];
    for (int e = 0; e < n_entries; ++e) {
        codes[e] = 0;
        for (int j = 0; j < 8; ++j) {
            const uint64_t byte = grid[e] >> 8 * j & 0xff;
            const int level = is_iq1 ? static_cast<int>(byte) / 8 : byte == 8 ? 0 : byte == 25 ? 1 : 2;
            codes[e] = static_cast<uint16_t>(codes[e] | level << 2 * j);
            book->values[e][j] = book->levels[level];
        }
    }
    for (int cell = 0; cell < 6561; ++cell) {
        float middle[8];
        for (int j = 0, rest = cell; j < 8; ++j, rest /= 3) middle[j] = book->levels[rest % 3];
        Nearest nearest;
        for (int e = 0; e < n_entries; ++e) {
            float distance = 0.0f;
            for (int j = 0; j < 8; ++j) distance += (book->values[e][j] - middle[j]) * (book->values[e][j] - middle[j]);
            nearest.add(e, codes[e], distance);
        }
        book->cells[cell] = nearest.found();
    }
    return book;
}

std::unique_ptr<const QuadBook> make_quads(const uint32_t* grid, int n_entries, bool is_xxs) {
    auto book = std::make_unique<QuadBook>();
    for (int l = 0; l < 16; ++l) book->levels[l] = static_cast<float>(is_xxs ? (l % 8 < 7 ? 8 * (l % 8) + 4 : 62) : 2 * (l % 8) + 1);
    book->to_level = is_xxs ? 0.125f : 0.5f;
    book->level_offset = -0.5f;
    uint16_t codes[512];
    for (int e = 0; e < n_entries; ++e) {
        codes[e] = 0;
        for (int j = 0; j < 4; ++j) {
            const int byte = static_cast<int>(grid[e] >> 8 * j & 0xff), level = is_xxs ? byte / 8 : byte / 2;
            codes[e] = static_cast<uint16_t>(codes[e] | level << 4 * j);
            book->values[e][j] = static_cast<float>(byte);
        }
    }
    for (int cell = 0; cell < 4096; ++cell) {
        Nearest nearest;
        for (int e = 0; e < n_entries; ++e) {
            float distance = 0.0f;
            for (int j = 0; j < 4; ++j) {
                const float middle = book->levels[cell >> 3 * j & 7];
                distance += (book->values[e][j] - middle) * (book->values[e][j] - middle);
            }
            nearest.add(e, codes[e], distance);
        }
        book->cells[cell] = nearest.found();
    }
    return book;
}

}  // namespace

const TripleBook& iq1_book() {
    static const auto book = make_triples(iq1_grid, 2048, true);
    return *book;
}
const TripleBook& iq2_xxs_book() {
    static const auto book = make_triples(iq2_xxs_grid, 256, false);
    return *book;
}
const TripleBook& iq2_xs_book() {
    static const auto book = make_triples(iq2_xs_grid, 512, false);
    return *book;
}
const TripleBook& iq2_s_book() {
    static const auto book = make_triples(iq2_s_grid, 1024, false);
    return *book;
}
const QuadBook& iq3_xxs_book() {
    static const auto book = make_quads(iq3_xxs_grid, 256, true);
    return *book;
}
const QuadBook& iq3_s_book() {
    static const auto book = make_quads(iq3_s_grid, 512, false);
    return *book;
}

}  // namespace quern
