// The rotation itself, once for every instruction set: (x, y) becomes (x cos - y sin, x sin + y cos).
#pragma once

#include "kernels/inline.h"
#include "kernels/rope/rope.h"

namespace quern {

template <typename V>
QUERN_INLINE void turn(V& x, V& y, V cos, V sin) {
    const V turned = x * cos - y * sin;
    y = x * sin + y * cos;
    x = turned;
}

/// Pair i is head[i], head[i + distance] or, with distance 0, head[2 i], head[2 i + 1].
template <typename V>
QUERN_INLINE void turn_pairs(float* head, const float* angles, int n_pairs, int distance) {
    int i = 0;
    for (; i + V::width <= n_pairs; i += V::width) {
        V x, y, cos, sin;
        V::load_pairs(angles + 2 * i, cos, sin);
        if (distance == 0) {
            V::load_pairs(head + 2 * i, x, y);
            turn(x, y, cos, sin);
            V::store_pairs(head + 2 * i, x, y);
        } else {
            x = V::load(head + i);
            y = V::load(head + i + distance);
            turn(x, y, cos, sin);
            x.store(head + i);
            y.store(head + i + distance);
        }
    }
    for (; i < n_pairs; ++i) {
        float& x = distance == 0 ? head[2 * i] : head[i];
        float& y = distance == 0 ? head[2 * i + 1] : head[i + distance];
        turn(x, y, angles[2 * i], angles[2 * i + 1]);
    }
}

template <typename V>
QUERN_INLINE void rope_kernel(float* heads, int n_heads, int head_dim, const float* angles, int n_dims, RopeStyle style) {
    const int distance = style == RopeStyle::adjacent ? 0 : n_dims / 2;
    for (int64_t head = 0; head < n_heads; ++head) turn_pairs<V>(heads + head * head_dim, angles, n_dims / 2, distance);
}

}  // namespace quern
