// The scales of 256-value blocks without minimums, as row kernels read them: what Unpacked of the IQ formats is derived from.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/inline.h"

namespace quern {

template <typename V>
QUERN_INLINE typename V::Sixteen to_sixteen(uint64_t first, uint64_t second) {
    const uint32_t words[4] = {static_cast<uint32_t>(first), static_cast<uint32_t>(first >> 32), static_cast<uint32_t>(second),
                               static_cast<uint32_t>(second >> 32)};
    return V::make_16(words);
}

/// 8 scales of 32 values each, as the int8 of one integer, the first lowest.
template <typename V>
struct ScalesOf32 {
    static constexpr int group = 32;
    static constexpr bool has_mins = false;
    float d, dmin = 0.0f;
    typename V::Sixteen scale_bytes;
    typename V::Words scale_words;

    QUERN_INLINE ScalesOf32(float scale, uint64_t scales)
        : d(scale), scale_bytes(to_sixteen<V>(scales, 0)), scale_words(V::low_words_twice(scale_bytes)) {}

    template <int v>
    QUERN_INLINE typename V::Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE typename V::Words scales_by_16() const { return V::low_words_in_pairs(scale_bytes); }
};

/// 16 scales of 16 values each, likewise.
template <typename V>
struct ScalesOf16 {
    static constexpr int group = 16;
    static constexpr bool has_mins = false;
    float d, dmin = 0.0f;
    typename V::Sixteen scale_bytes;
    typename V::Words scale_words;

    QUERN_INLINE ScalesOf16(float scale, uint64_t first, uint64_t second)
        : d(scale), scale_bytes(to_sixteen<V>(first, second)), scale_words(V::words_by_parity(scale_bytes)) {}

    template <int v>
    QUERN_INLINE typename V::Words scales() const {
        return V::template pick<v>(scale_words);
    }
    QUERN_INLINE typename V::Words scales_by_16() const { return V::words(scale_bytes); }
};

}  // namespace quern
