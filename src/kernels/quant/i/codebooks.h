// The code books of the IQ formats as their encoders search them. Space is cut into cells by the nearest level of each value; for each cell
// the entries nearest to its middle are listed, and only those are compared. Each book is made once, at its first use.
#pragma once

#include <cstdint>

namespace quern {

inline constexpr int n_near = 16;

/// The entries nearest to a cell: their levels, and their numbers.
struct alignas(64) NearEntries {
    uint16_t codes[n_near];
    uint16_t entries[n_near];
};

/// Entries of 8 values of 3 levels: IQ1 and IQ2.
struct TripleBook {
    float levels[3];
    float thresholds[2];      ///< between them
    uint16_t powers[256];     ///< sum of 3^j for the bits j: a cell is the sum for values above the first and above the second threshold
    NearEntries cells[6561];  ///< codes: level j in bits 2 j
    alignas(32) float values[2048][8];  ///< of the entries
};

/// Entries of 4 values of 8 levels: IQ3.
struct QuadBook {
    alignas(64) float levels[16];      ///< the eight, twice
    float to_level, level_offset;      ///< the nearest level's number is v * to_level + level_offset, rounded
    NearEntries cells[4096];           ///< numbered by level j in bits 3 j; codes: level j in bits 4 j
    alignas(16) float values[512][4];  ///< of the entries
};

const TripleBook& iq1_book();
const TripleBook& iq2_xxs_book();
const TripleBook& iq2_xs_book();
const TripleBook& iq2_s_book();
const QuadBook& iq3_xxs_book();
const QuadBook& iq3_s_book();

}  // namespace quern
