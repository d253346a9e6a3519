// How a kernel sees one block of weights: each format specialises Unpacked in its *_cpu.h, once for all instruction sets.
#pragma once

namespace quern {

/// One block in the words of the vocabulary V (kernels/simd/). Made from a block; refers to it.
///
/// Formats of 32 values, x[i] = d * q[i] + offset:
///     static constexpr bool is_signed    values() are int8 and offset is 0; otherwise they are uint8
///     float d, offset
///     Bytes values()
///
/// Formats of 256 values, x[i] = d * scale[g] * (q[i] - bias) - dmin * min[g], where g is the group of i:
///     static constexpr int bias          0 where there are minimums
///     static constexpr bool has_mins
///     static constexpr int group         values that share a scale: 16 or 32
///     float d, dmin
///     Bytes values<v>()                  q of values [32 v, 32 v + 32), unsigned, at most 63
///     Words scales<v>()                  the scale that belongs to each pair of those values
///     Words scales_by_16()               the 16 scales in order (of groups of 32, each twice)
///     Words mins_by_16()                 the 16 minimums in order (of groups of 32, each twice)
/// Those with `static constexpr bool is_signed = true` have neither bias nor minimums, and q is signed, at most 127 in magnitude.
template <typename V, typename Format>
struct Unpacked;

template <typename Weights>
concept SignedValues = requires {
    requires Weights::is_signed;
};

}  // namespace quern
