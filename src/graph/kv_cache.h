// The memory of keys and values: for each layer, pages of 64 tokens. Which sequence owns which page is the engine's business (page_pool.h).
#pragma once

#include <cstdint>

#include "backend/device.h"

namespace quern {

struct KvShape {
    int n_layers = 0, n_kv_heads = 0, head_dim = 0;
    KvType type = KvType::f16;
    bool values_are_keys = false;  ///< latent attention: the cache holds one side only

    int n_sides() const { return values_are_keys ? 1 : 2; }
};

class KvCache {
  public:
    /// @throws DeviceError
    KvCache(Device& device, KvShape shape, int64_t n_pages)
        : shape_(shape), n_pages_(n_pages), memory_(device.allocate(static_cast<uint64_t>(n_pages) * page_bytes(shape), "the KV cache")) {}

    /// Keys and values of 64 tokens in all layers.
    static uint64_t page_bytes(KvShape shape) {
        return static_cast<uint64_t>(shape.n_layers) * static_cast<uint64_t>(shape.n_sides()) *
               static_cast<uint64_t>(values_per_page(shape) * kv_value_bytes(shape.type));
    }

    KvPages keys(int layer) const { return side(shape_.n_sides() * layer); }
    KvPages values(int layer) const { return side(shape_.n_sides() * layer + shape_.n_sides() - 1); }
    int64_t n_pages() const noexcept { return n_pages_; }

  private:
    static int64_t values_per_page(KvShape shape) { return static_cast<int64_t>(shape.n_kv_heads) * kv_page_tokens * shape.head_dim; }
    KvPages side(int index) const {
        const int64_t stride = values_per_page(shape_);
        return {memory_.data() + index * n_pages_ * stride * kv_value_bytes(shape_.type), stride, shape_.type};
    }

    KvShape shape_;
    int64_t n_pages_;
    Buffer memory_;
};

}  // namespace quern
