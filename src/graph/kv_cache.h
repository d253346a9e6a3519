// The memory of keys and values: for each layer, pages of 64 tokens. Which sequence owns which page is the engine's business (page_pool.h).
#pragma once

#include <cstdint>

#include "backend/device.h"

namespace quern {

struct KvShape {
    int n_layers = 0, n_kv_heads = 0, head_dim = 0;
    KvType key_type = KvType::f16, value_type = KvType::f16;
};

class KvCache {
  public:
    /// REQUIRES: head_dim is a multiple of both types' blocks. @throws DeviceError
    KvCache(Device& device, KvShape shape, int64_t n_pages)
        : shape_(shape), n_pages_(n_pages), memory_(device.allocate(static_cast<uint64_t>(n_pages) * page_bytes(shape), "the KV cache")) {}

    /// Keys and values of 64 tokens in all layers.
    static uint64_t page_bytes(KvShape shape) {
        const int64_t n = values_per_page(shape);
        return static_cast<uint64_t>(shape.n_layers * (kv_bytes(shape.key_type, n) + kv_bytes(shape.value_type, n)));
    }

    KvPages keys(int layer) const {
        return {memory_.data() + layer * side_bytes(shape_.key_type), values_per_page(shape_), shape_.key_type};
    }
    KvPages values(int layer) const {
        std::byte* const first = memory_.data() + shape_.n_layers * side_bytes(shape_.key_type);
        return {first + layer * side_bytes(shape_.value_type), values_per_page(shape_), shape_.value_type};
    }
    int64_t n_pages() const noexcept { return n_pages_; }

  private:
    static int64_t values_per_page(KvShape shape) { return static_cast<int64_t>(shape.n_kv_heads) * kv_page_tokens * shape.head_dim; }
    // Of all keys, or all values, of one layer.
    int64_t side_bytes(KvType type) const { return n_pages_ * kv_bytes(type, values_per_page(shape_)); }

    KvShape shape_;
    int64_t n_pages_;
    Buffer memory_;
};

}  // namespace quern
