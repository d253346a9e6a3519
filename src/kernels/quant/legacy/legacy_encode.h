// Q4_0, Q5_0 and Q8_0: scale_fit.h's search for the scale with the least weighted squared error. Q4_1 and Q5_1: affine_fit.h's search.
#pragma once

#include "kernels/quant/affine_fit.h"
#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q4_1.h"
#include "kernels/quant/legacy/q5_0.h"
#include "kernels/quant/legacy/q5_1.h"
#include "kernels/quant/legacy/q8_0.h"
#include "kernels/quant/scale_fit.h"

namespace quern {

struct Q4Levels : EvenLevels<-8, 7> {
    static constexpr float guesses[] = {-8.9f, -8.6f, -8.3f, -8.0f, -7.8f, -7.6f, -7.4f, -7.2f, -7.0f, 7.0f, 7.3f, 7.6f};
};
struct Q5Levels : EvenLevels<-16, 15> {
    static constexpr float guesses[] = {-16.9f, -16.6f, -16.3f, -16.0f, -15.8f, -15.6f, -15.4f, -15.2f, -15.0f, 15.0f, 15.4f};
};
struct Q8Levels : EvenLevels<-127, 127> {
    static constexpr float guesses[] = {127.6f, 127.3f, 127.0f, 126.7f, 126.4f};
};

QUERN_INLINE void pack_nibbles(const uint8_t* q, uint8_t* qs) {
    for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((q[i] & 15) | (q[16 + i] & 15) << 4);
}

QUERN_INLINE void pack_fifth_bits(const uint8_t* q, uint8_t* qh) {
    for (int i = 0; i < 4; ++i) {
        uint64_t eight;  // whose bits 4 go side by side: the product has that of byte j in bit 56 + j
        std::memcpy(&eight, q + 8 * i, sizeof eight);
        qh[i] = static_cast<uint8_t>((eight >> 4 & 0x0101010101010101u) * 0x0102040810204080u >> 56);
    }
}

QUERN_INLINE void pack(const uint8_t* q, Q4_0::Block& out) { pack_nibbles(q, out.qs); }
QUERN_INLINE void pack(const uint8_t* q, Q4_1::Block& out) { pack_nibbles(q, out.qs); }
QUERN_INLINE void pack(const uint8_t* q, Q5_0::Block& out) {
    pack_nibbles(q, out.qs);
    pack_fifth_bits(q, out.qh);
}
QUERN_INLINE void pack(const uint8_t* q, Q5_1::Block& out) {
    pack_nibbles(q, out.qs);
    pack_fifth_bits(q, out.qh);
}
QUERN_INLINE void pack(const uint8_t* q, Q8_0::Block& out) {
    for (int i = 0; i < 32; ++i) out.qs[i] = static_cast<int8_t>(q[i] - 127);
}

template <typename V, typename Format, typename Levels>
void encode_scaled(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* blocks = reinterpret_cast<typename Format::Block*>(out);
    for_tiles<V, 32, 32>(x, importance, n, [&](const GroupTile<V, 32>& tile, int64_t first, int n_blocks) {
        float scales[16];
        ScaleSearch<V, Levels, 32>(tile).run().store(scales);
        for (int b = 0; b < n_blocks; ++b) {
            uint8_t q[32];
            blocks[first + b].d = nearest_f16(scales[b]);
            store_levels<V, Levels>(tile.x + 32 * b, 32, f16_to_f32(blocks[first + b].d), q);
            pack(q, blocks[first + b]);
        }
    });
}

template <typename V, typename Format, int top>
void encode_affine(const float* x, const float* importance, int64_t n, std::byte* out) noexcept {
    auto* blocks = reinterpret_cast<typename Format::Block*>(out);
    for_tiles<V, 32, 32>(x, importance, n, [&](const GroupTile<V, 32>& tile, int64_t first, int n_blocks) {
        float scales[16], offsets[16];
        const auto fit = AffineSearch<V, 32>(tile, static_cast<float>(top), false).run();
        fit.scale.store(scales);
        fit.offset.store(offsets);
        for (int b = 0; b < n_blocks; ++b) {
            uint8_t q[32];
            auto& block = blocks[first + b];
            block.d = nearest_f16(scales[b]);
            block.m = nearest_f16(offsets[b]);
            affine_levels<V>(tile.x + 32 * b, 32, f16_to_f32(block.d), f16_to_f32(block.m), static_cast<float>(top), q);
            pack(q, block);
        }
    });
}

template <typename V>
inline constexpr auto encode_q4_0 = encode_scaled<V, Q4_0, Q4Levels>;
template <typename V>
inline constexpr auto encode_q5_0 = encode_scaled<V, Q5_0, Q5Levels>;
template <typename V>
inline constexpr auto encode_q8_0 = encode_scaled<V, Q8_0, Q8Levels>;
template <typename V>
inline constexpr auto encode_q4_1 = encode_affine<V, Q4_1, 15>;
template <typename V>
inline constexpr auto encode_q5_1 = encode_affine<V, Q5_1, 31>;

}  // namespace quern
