// The nearest entries of a code book of 8 values of 3 levels: sixteen of them are compared at once, their costs looked up level by level.
#pragma once

#include "kernels/quant/group_tile.h"
#include "kernels/quant/i/codebooks.h"

namespace quern {

/// For 16 values, which are two entries.
template <typename V>
struct FoundTriples {
    uint16_t entries[2];
    float costs[2];  ///< sum w (q^2 - 2 t q): the squared error in units of the scale, but for sum w t^2
};

/// @param t      targets, in units of the scale
/// @param shift  what is added to each level
template <typename V>
QUERN_LANES_INLINE FoundTriples<V> nearest_triples(const TripleBook& book, const Sixteen<V>& t, const Sixteen<V>& w, float shift) {
    using S = Sixteen<V>;
    const uint32_t above_first = S::bits(less(S::splat(book.thresholds[0] + shift), t));
    const uint32_t above_second = S::bits(less(S::splat(book.thresholds[1] + shift), t));
    const S twice = t + t;
    S cost[3];
    for (int l = 0; l < 3; ++l) {
        const S level = S::splat(book.levels[l] + shift);
        cost[l] = w * (level * (level - twice));
    }
    float tables[64];
    S::store_fours(tables, cost[0], cost[1], cost[2], cost[2]);
    FoundTriples<V> out;
    const auto find = [&]<int first>() __attribute__((always_inline)) {
        const NearEntries& near = book.cells[book.powers[above_first >> first & 255] + book.powers[above_second >> first & 255]];
        const auto codes = S::load_codes(near.codes);
        const S sum = ((S::template look_up_4<0>(tables + S::place(first + 0), codes) +
                        S::template look_up_4<2>(tables + S::place(first + 1), codes)) +
                       (S::template look_up_4<4>(tables + S::place(first + 2), codes) +
                        S::template look_up_4<6>(tables + S::place(first + 3), codes))) +
                      ((S::template look_up_4<8>(tables + S::place(first + 4), codes) +
                        S::template look_up_4<10>(tables + S::place(first + 5), codes)) +
                       (S::template look_up_4<12>(tables + S::place(first + 6), codes) +
                        S::template look_up_4<14>(tables + S::place(first + 7), codes)));
        out.costs[first / 8] = least(sum);
        out.entries[first / 8] = near.entries[place_of_least(sum)];
    };
    find.template operator()<0>();
    find.template operator()<8>();
    return out;
}

}  // namespace quern
