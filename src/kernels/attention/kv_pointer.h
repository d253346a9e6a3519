// Where keys or values are read: pointers to f32 and f16, and the like of a pointer for blocks of 32 values, which are read as they are
// kept and only widened in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention/attention.h"
#include "kernels/inline.h"
#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q8_0.h"

namespace quern {

/// The at-th value of an array of blocks.
template <typename Format>
struct BlockPointer {
    const typename Format::Block* blocks = nullptr;
    int64_t at = 0;

    QUERN_INLINE friend BlockPointer operator+(BlockPointer p, int64_t n) { return {p.blocks, p.at + n}; }
    QUERN_INLINE BlockPointer& operator+=(int64_t n) {
        at += n;
        return *this;
    }
    QUERN_INLINE const typename Format::Block& block() const { return blocks[at / 32]; }
    QUERN_INLINE explicit operator bool() const { return blocks != nullptr; }
};

template <typename V>
QUERN_INLINE V load_as_f32(const float* p) {
    return V::load(p);
}
template <typename V>
QUERN_INLINE V load_as_f32(const uint16_t* p) {
    return V::load_f16(p);
}
/// V::width values, all of one block.
template <typename V>
QUERN_INLINE V load_as_f32(BlockPointer<Q8_0> p) {
    return V::load_bytes(p.block().qs + p.at % 32) * V::splat_f16(p.block().d);
}
template <typename V>
QUERN_INLINE V load_as_f32(BlockPointer<Q4_0> p) {
    return V::load_nibbles(p.block().qs + p.at % 16, p.at % 32 / 16 * 4) * V::splat_f16(p.block().d);
}

template <typename V>
QUERN_INLINE V load_first_as_f32(const float* p, int n) {
    return V::load_first(p, n);
}
template <typename V>
QUERN_INLINE V load_first_as_f32(const uint16_t* p, int n) {
    return V::load_f16_first(p, n);
}
/// Rows of blocks are made of whole vectors: there is nothing to leave out.
template <typename V, typename Format>
QUERN_INLINE V load_first_as_f32(BlockPointer<Format> p, int) {
    return load_as_f32<V>(p);
}

// Values in a cache line, about.
constexpr int values_in_line(const float*) { return 16; }
constexpr int values_in_line(const uint16_t*) { return 32; }
constexpr int values_in_line(BlockPointer<Q8_0>) { return 64; }
constexpr int values_in_line(BlockPointer<Q4_0>) { return 64; }

// Asks for the cache line of p, into the second level: a page of keys and one of values are more than the first level holds.
QUERN_INLINE void fetch(const void* p) { __builtin_prefetch(p, 0, 2); }
template <typename Format>
QUERN_INLINE void fetch(BlockPointer<Format> p) {
    __builtin_prefetch(&p.block(), 0, 2);
}

/// Calls f with the pointer to a value; its type is that of the pages. REQUIRES: `value` begins a block.
template <typename F>
QUERN_INLINE void with_pointer(const KvPages& pages, int64_t page, int64_t value, F f) {
    const std::byte* const at = pages.at(page, value);
    switch (pages.type) {
        case KvType::f32:
            return f(reinterpret_cast<const float*>(at));
        case KvType::q8_0:
            return f(BlockPointer<Q8_0>{reinterpret_cast<const Q8_0::Block*>(at)});
        case KvType::q4_0:
            return f(BlockPointer<Q4_0>{reinterpret_cast<const Q4_0::Block*>(at)});
        default:
            return f(reinterpret_cast<const uint16_t*>(at));
    }
}

}  // namespace quern
