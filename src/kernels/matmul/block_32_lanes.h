// Blocks of 32 values as row_lanes.h multiplies them: of sixteen weight rows, a lane for each row, or of one row, two blocks at a time.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/quant/formats_cpu.h"

namespace quern {

/// x[i] = d * (q[i] - bias) + m, where q is unsigned. A column is 4 values of every row, of sixteen.
template <typename V, typename Format>
class Block32Lanes {
    using Block = typename Format::Block;
    using Weights = Unpacked<V, Format>;
    using TwoBytes = typename V::TwoBytes;
    using TwoInts = typename V::TwoInts;
    static constexpr bool has_high_bits = Format::dtype == DType::q5_0 || Format::dtype == DType::q5_1;
    static constexpr bool has_levels = Format::dtype == DType::iq4_nl || Format::dtype == DType::mxfp4;
    /// What sixteen values of 4 bits stand for, where they are not numbers.
    static constexpr const int8_t* levels = Format::dtype == DType::iq4_nl ? iq4_levels : fp4_levels;

  public:
    static constexpr bool has_mins = Format::dtype == DType::q4_1 || Format::dtype == DType::q5_1;
    static constexpr int bias = has_mins ? 0 : Weights::is_signed ? 128 : has_high_bits ? 16 : 8;
    /// d and m as they are kept until they are used: f16 where the format has them so.
    using Factor = std::conditional_t<Format::dtype == DType::mxfp4, float, uint16_t>;

    QUERN_INLINE static Factor d_of(const Block& block) {
        if constexpr (Format::dtype == DType::mxfp4)
            return Weights(block).d;
        else
            return block.d;
    }

    /// Two blocks of a row.
    QUERN_INLINE static TwoBytes pair(const Block& a, const Block& b) {
        return to_unsigned(V::two_bytes(Weights(a).values(), Weights(b).values()));
    }

    /// @param at  of row r, its block  @param d, m  of each row
    template <typename At>
    QUERN_INLINE static void columns(const At& at, TwoBytes (&values)[8], Factor* d, Factor* m) {
        if constexpr (Format::dtype == DType::q8_0) {
            TwoBytes half[4];
            for (int h = 0; h < 2; ++h) {
                V::rows_to_columns([&](int r) { return at(r).qs + 16 * h; }, half);
                for (int c = 0; c < 4; ++c) values[4 * h + c] = to_unsigned(half[c]);
            }
        } else {
            V::nibble_rows_to_lanes([&](int r) { return at(r).qs; }, values);
            if constexpr (has_levels)
                for (TwoBytes& column : values) column = to_unsigned(V::look_up(V::load_16(levels), column));
        }
        if constexpr (has_mins || has_high_bits) {
            TwoInts head[4];
            V::rows_to_columns([&](int r) { return &at(r); }, head);
            V::store_lower_halves(d, head[0]);
            if constexpr (has_mins) V::store_upper_halves(m, head[0]);
            if constexpr (has_high_bits) add_high_bits<0>(has_mins ? head[1] : V::middle_of(head[0], head[1]), values);
        } else {
#pragma GCC unroll 16
            for (int r = 0; r < V::row_lanes; ++r) d[r] = d_of(at(r));
        }
    }

  private:
    QUERN_INLINE static TwoBytes to_unsigned(TwoBytes v) {
        if constexpr (Weights::is_signed)
            return V::flip(v, V::byte_everywhere(128));
        else
            return v;
    }

    template <int c>
    QUERN_INLINE static void add_high_bits(TwoInts bits, TwoBytes (&values)[8]) {
        values[c] = V::template add_to_bytes_of_bits<c>(values[c], bits, V::byte_everywhere(16));
        if constexpr (c < 7) add_high_bits<c + 1>(bits, values);
    }
};

}  // namespace quern
