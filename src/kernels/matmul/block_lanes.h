// Blocks of 256 values as k_lanes.h multiplies them: of sixteen weight rows, a lane for each row, or of one row, 64 values at a time.
// A column is 4 bytes of every row.
#pragma once

#include "kernels/quant/formats_cpu.h"

namespace quern {

/// Of sixteen rows, specialised for the formats that have it, in the words of a vocabulary with row_lanes:
///
///     static constexpr int group             values that share a scale: 16 or 32
///     static constexpr int values_per_int    the sum of the products of so many with 16-bit activations is below 2^31 for sure
///     static constexpr int bias              to be subtracted from the values
///     static constexpr bool has_mins
///     Ints scale<g>()                        of group g
///     Floats d, dmin
///     Words mins[4]                          of groups 0 and 2, 1 and 3, 4 and 6, 5 and 7
template <typename V, typename Format>
struct ScaleLanes;

/// The same with Bytes values[8][8]: q of values 32 v + 4 c to 32 v + 4 c + 3, unsigned.
template <typename V, typename Format>
struct BlockLanes;

/// Of one row: Bytes values<p>(block) are q of values [64 p, 64 p + 64), unsigned.
template <typename V, typename Format>
struct RowValues;

template <typename V>
struct AffineScaleLanes {
    using Ints = typename V::TwoInts;
    static constexpr bool has_mins = true;
    static constexpr int group = 32, bias = 0;
    typename V::TwoFloats d, dmin;
    typename V::TwoWords mins[4];

    /// @param at  of row r, its block, which starts with d, dmin and 12 bytes of scales
    template <typename At>
    QUERN_INLINE explicit AffineScaleLanes(const At& at) {
        Ints head[4];
        V::rows_to_columns([&](int r) { return &at(r).d; }, head);
        d = V::lower_halves_to_floats(head[0]);
        dmin = V::upper_halves_to_floats(head[0]);
        const Ints six_bits = V::byte_everywhere(63), four_bits = V::byte_everywhere(15), upper_two = V::byte_everywhere(0x30);
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
        return V::template byte_of<g % 4>(scale_bytes_[g / 4]);
    }

  private:
    Ints scale_bytes_[2];  // of groups of 32 values, 4 in each lane
};

template <typename V>
struct ScaleLanes<V, Q4_K> : AffineScaleLanes<V> {
    static constexpr int values_per_int = 64;
    using AffineScaleLanes<V>::AffineScaleLanes;
};

template <typename V>
struct BlockLanes<V, Q4_K> : ScaleLanes<V, Q4_K> {
    typename V::TwoBytes values[8][8];

    template <typename At>
    QUERN_INLINE explicit BlockLanes(const At& at) : ScaleLanes<V, Q4_K>(at) {
        const auto low_half = V::byte_everywhere(15);
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
struct RowValues<V, Q4_K> {
    template <int p>
    QUERN_INLINE static typename V::TwoBytes values(const Q4_K::Block& block) {
        return V::both(V::template rotate_halves_right<0, 4>(V::load_bytes_twice(block.qs + 32 * p)), V::byte_everywhere(15));
    }
};

template <typename V>
struct ScaleLanes<V, Q5_K> : AffineScaleLanes<V> {
    static constexpr int values_per_int = 32;
    using AffineScaleLanes<V>::AffineScaleLanes;
};

template <typename V>
struct BlockLanes<V, Q5_K> : ScaleLanes<V, Q5_K> {
    typename V::TwoBytes values[8][8];

    template <typename At>
    QUERN_INLINE explicit BlockLanes(const At& at) : ScaleLanes<V, Q5_K>(at) {
        const auto low_half = V::byte_everywhere(15), bit_4 = V::byte_everywhere(16);
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
struct RowValues<V, Q5_K> {
    template <int p>
    QUERN_INLINE static typename V::TwoBytes values(const Q5_K::Block& block) {
        const auto low = V::template rotate_halves_right<0, 4>(V::load_bytes_twice(block.qs + 32 * p));
        const auto high = V::template rotate_halves_right<(2 * p + 28) % 32, (2 * p + 29) % 32>(V::load_bytes_twice(block.qh));
        return V::either(V::both(low, V::byte_everywhere(15)), V::both(high, V::byte_everywhere(16)));
    }
};

template <typename V>
struct ScaleLanes<V, Q6_K> {
    using Ints = typename V::TwoInts;
    static constexpr bool has_mins = false;
    static constexpr int group = 16, values_per_int = 16, bias = 32;
    typename V::TwoFloats d;

    template <typename At>
    QUERN_INLINE explicit ScaleLanes(const At& at) {
        alignas(32) uint16_t factors[V::row_lanes];
        for (int r = 0; r < V::row_lanes; ++r) factors[r] = at(r).d;
        d = V::load_two_floats(factors);
        V::rows_to_columns([&](int r) { return at(r).scales; }, scale_bytes_);
    }

    template <int g>
    QUERN_INLINE Ints scale() const {
        return V::template signed_byte_of<g % 4>(scale_bytes_[g / 4]);
    }

  private:
    Ints scale_bytes_[4];
};

template <typename V>
struct BlockLanes<V, Q6_K> : ScaleLanes<V, Q6_K> {
    typename V::TwoBytes values[8][8];

    template <typename At>
    QUERN_INLINE explicit BlockLanes(const At& at) : ScaleLanes<V, Q6_K>(at) {
        const auto low_half = V::byte_everywhere(15), upper_two = V::byte_everywhere(0x30);
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
};

template <typename V>
struct RowValues<V, Q6_K> {
    template <int p>
    QUERN_INLINE static typename V::TwoBytes values(const Q6_K::Block& block) {
        const auto low = V::template shift_right<p % 2 * 4>(V::load_two_bytes(block.ql + p / 2 * 64));
        const auto high = V::template rotate_halves_right < p % 2 ? 0 : 28, p % 2 ? 2 : 30 > (V::load_bytes_twice(block.qh + p / 2 * 32));
        return V::either(V::both(low, V::byte_everywhere(15)), V::both(high, V::byte_everywhere(0x30)));
    }
};

}  // namespace quern
