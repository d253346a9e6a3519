#include "kernels/attention/kv_store.h"

#include <cmath>

#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q8_0.h"
#include "kernels/simd/float_scalar.h"

namespace quern {
namespace {

// The value that is farthest from 0; 0 when all are 0 or no numbers.
float extreme_of(const float* x) {
    float extreme = 0.0f;
    for (int i = 0; i < 32; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
    return extreme;
}

// To the nearest level from low to high, counted from low; halves upward. NaN: 0.
int level(float x, float low, float high) {
    const float bounded = x > low ? (x < high ? x : high) : low;
    return static_cast<int>(bounded - low + 0.5f);
}

void store_q8_0(const float* x, Q8_0::Block& block) {
    const float scale = std::abs(extreme_of(x)) / 127.0f, inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    block.d = scalar::f32_to_f16(scale);
    for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(level(x[i] * inverse, -127.0f, 127.0f) - 127);
}

// The extreme value becomes level -8, the one that has no counterpart.
void store_q4_0(const float* x, Q4_0::Block& block) {
    const float scale = extreme_of(x) / -8.0f, inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    block.d = scalar::f32_to_f16(scale);
    for (int i = 0; i < 16; ++i) {
        const int low = level(x[i] * inverse, -8.0f, 7.0f), high = level(x[16 + i] * inverse, -8.0f, 7.0f);
        block.qs[i] = static_cast<uint8_t>(low | high << 4);
    }
}

}  // namespace

void store_kv_blocks(KvType type, const float* x, std::byte* out, int64_t n) noexcept {
    for (int64_t block = 0; block < n / 32; ++block) {
        if (type == KvType::q8_0)
            store_q8_0(x + 32 * block, reinterpret_cast<Q8_0::Block*>(out)[block]);
        else
            store_q4_0(x + 32 * block, reinterpret_cast<Q4_0::Block*>(out)[block]);
    }
}

}  // namespace quern
