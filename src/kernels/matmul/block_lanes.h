// Blocks of 256 values of sixteen weight rows, a lane for each row: what k_lanes.h multiplies. A column is 4 bytes of every row.
#pragma once

#include "kernels/quant/formats_cpu.h"

namespace quern {

/// Specialised for the formats that have it, in the words of a vocabulary with row_lanes:
///
///     static constexpr int groups_per_int    groups of 16 values whose products with 16-bit activations have a sum below 2^31 for sure
///     static constexpr bool has_mins
///     Bytes values[8][8]                     q of values 32 v + 4 c to 32 v + 4 c + 3, unsigned
///     static constexpr int bias              to be subtracted from those
///     Ints scale(g)                          of group g of 16 values
///     Floats d, dmin
///     Words mins[4]                          minimums of the groups of 32 values, in pairs: of 8 p and 8 p + 2, of 8 p + 1 and 8 p + 3
template <typename V, typename Format>
struct BlockLanes;

/// The scales and minimums of Q4_K and Q5_K.
template <typename V>
struct AffineLanes {
    using Ints = typename V::TwoInts;
    static constexpr bool has_mins = true;
    static constexpr int bias = 0;
    typename V::TwoFloats d, dmin;
    typename V::TwoWords mins[4];

    /// @param at  of row r, the start of its block, with d, dmin and 12 bytes of scales
    template <typename At>
    QUERN_INLINE void take_scales(At at) {
        Ints head[4];
        V::rows_to_columns(at, head);
        d = V::lower_halves_to_floats(head[0]);
        dmin = V::upper_halves_to_floats(head[0]);
        const Ints six_bits = V::four_bytes(63), four_bits = V::four_bytes(15), upper_two = V::four_bytes(0x30);
        scale_bytes_[0] = V::both(head[1], six_bits);
        scale_bytes_[1] = V::either(V::both(head[3], four_bits), V::both(V::template shift_right<2>(head[1]), upper_two));
        const Ints low = V::both(head[2], six_bits);
        const Ints high =
            V::either(V::both(V::template shift_right<4>(head[3]), four_bits), V::both(V::template shift_right<2>(head[2]), upper_two));
        mins[0] = V::template even_words<false>(low);
        mins[1] = V::template odd_words<false>(low);
        mins[2] = V::template even_words<false>(high);
        mins[3] = V::template odd_words<false>(high);
    }

    template <int g>
    QUERN_INLINE Ints scale() const {
        return V::template byte_of<g / 2 % 4>(scale_bytes_[g / 8]);
    }

  private:
    Ints scale_bytes_[2];  // of groups of 32 values, 4 in each lane
};

template <typename V>
struct BlockLanes<V, Q4_K> : AffineLanes<V> {
    static constexpr int groups_per_int = 4;
    typename V::TwoBytes values[8][8];

    template <typename At>
    QUERN_INLINE explicit BlockLanes(At at) {
        this->take_scales([&](int r) { return &at(r).d; });
        const auto low_half = V::four_bytes(15);
#pragma GCC unroll 4
        for (int part = 0; part < 4; ++part)
#pragma GCC unroll 4
            for (int half = 0; half < 2; ++half) {
                typename V::TwoBytes packed[4];
                V::rows_to_columns([&](int r) { return at(r).qs + 32 * part + 16 * half; }, packed);
#pragma GCC unroll 4
                for (int c = 0; c < 4; ++c) {
                    values[2 * part][4 * half + c] = V::both(packed[c], low_half);
                    values[2 * part + 1][4 * half + c] = V::both(V::template shift_right<4>(packed[c]), low_half);
                }
            }
    }
};

template <typename V>
struct BlockLanes<V, Q5_K> : AffineLanes<V> {
    static constexpr int groups_per_int = 2;
    typename V::TwoBytes values[8][8];

    template <typename At>
    QUERN_INLINE explicit BlockLanes(At at) {
        this->take_scales([&](int r) { return &at(r).d; });
        const auto low_half = V::four_bytes(15), bit_4 = V::four_bytes(16);
#pragma GCC unroll 4
        for (int half = 0; half < 2; ++half) {
            typename V::TwoBytes high[4];
            V::rows_to_columns([&](int r) { return at(r).qh + 16 * half; }, high);
#pragma GCC unroll 4
            for (auto& h : high) h = V::template rotate_left<4>(h);  // bit 0 comes to bit 4, where it is needed first
#pragma GCC unroll 4
            for (int part = 0; part < 4; ++part) {
                typename V::TwoBytes packed[4];
                V::rows_to_columns([&](int r) { return at(r).qs + 32 * part + 16 * half; }, packed);
#pragma GCC unroll 4
                for (int c = 0; c < 4; ++c) {
                    const auto next = V::template rotate_right<1>(high[c]);
                    values[2 * part][4 * half + c] = V::either(V::both(packed[c], low_half), V::both(high[c], bit_4));
                    values[2 * part + 1][4 * half + c] =
                        V::either(V::both(V::template shift_right<4>(packed[c]), low_half), V::both(next, bit_4));
                    high[c] = V::template rotate_right<1>(next);
                }
            }
        }
    }
};

template <typename V>
struct BlockLanes<V, Q6_K> {
    using Ints = typename V::TwoInts;
    static constexpr bool has_mins = false;
    static constexpr int groups_per_int = 1, bias = 32;
    typename V::TwoFloats d;
    typename V::TwoBytes values[8][8];

    template <typename At>
    QUERN_INLINE explicit BlockLanes(At at) {
        alignas(32) uint16_t factors[V::row_lanes];
        for (int r = 0; r < V::row_lanes; ++r) factors[r] = at(r).d;
        d = V::load_two_floats(factors);
        V::rows_to_columns([&](int r) { return at(r).scales; }, scale_bytes_);
        const auto low_half = V::four_bytes(15), upper_two = V::four_bytes(0x30);
#pragma GCC unroll 4
        for (int part = 0; part < 2; ++part)
#pragma GCC unroll 4
            for (int half = 0; half < 2; ++half) {
                typename V::TwoBytes first[4], second[4], high[4];
                V::rows_to_columns([&](int r) { return at(r).ql + 64 * part + 16 * half; }, first);
                V::rows_to_columns([&](int r) { return at(r).ql + 64 * part + 32 + 16 * half; }, second);
                V::rows_to_columns([&](int r) { return at(r).qh + 32 * part + 16 * half; }, high);
#pragma GCC unroll 4
                for (int c = 0; c < 4; ++c) {
                    auto* const to = &values[4 * part][4 * half + c];  // the next group of 32 values lies 8 further
                    to[0] = V::either(V::both(first[c], low_half), V::both(V::template shift_left<4>(high[c]), upper_two));
                    to[8] = V::either(V::both(second[c], low_half), V::both(V::template shift_left<2>(high[c]), upper_two));
                    to[16] = V::either(V::both(V::template shift_right<4>(first[c]), low_half), V::both(high[c], upper_two));
                    to[24] = V::either(V::both(V::template shift_right<4>(second[c]), low_half),
                                       V::both(V::template shift_right<2>(high[c]), upper_two));
                }
            }
    }

    template <int g>
    QUERN_INLINE Ints scale() const {
        return V::template signed_byte_of<g % 4>(scale_bytes_[g / 4]);
    }

  private:
    Ints scale_bytes_[4];
};

}  // namespace quern
