// The memory of keys and values: for each layer, pages of 64 tokens. Which sequence owns which page is the engine's business (page_pool.h).
// Layers that attend to a window only may have pages of their own, so that those behind the window can be given back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/device.h"
#include "graph/graph.h"

namespace quern {

struct KvShape {
    int n_layers = 0, n_kv_heads = 0, head_dim = 0;
    KvType key_type = KvType::f16, value_type = KvType::f16;
    bool values_are_keys = false;  ///< latent attention: the cache holds one side only, of key_type
    int64_t window = 0;            ///< tokens that the windowed layers keep; 0: there are none
    std::vector<bool> windowed;    ///< by layer; empty: none is

    bool is_windowed(int layer) const { return !windowed.empty() && windowed[static_cast<size_t>(layer)]; }
    int n_windowed() const { return static_cast<int>(std::count(windowed.begin(), windowed.end(), true)); }
};

/// The shape with pages of their own for the layers that attend to a window only; the largest window holds for all of them.
KvShape with_windows(KvShape shape, const Graph& graph);

class KvCache {
  public:
    /// @param n_window_pages  of the windowed layers; n_pages are those of the others
    /// REQUIRES: head_dim is a multiple of both types' blocks. @throws DeviceError
    KvCache(Device& device, const KvShape& shape, int64_t n_pages, int64_t n_window_pages = 0);

    /// Keys and values of 64 tokens in all layers that are not windowed.
    static uint64_t page_bytes(const KvShape& shape) {
        return layer_bytes(shape) * static_cast<uint64_t>(shape.n_layers - shape.n_windowed());
    }
    /// The same of the windowed ones.
    static uint64_t window_page_bytes(const KvShape& shape) { return layer_bytes(shape) * static_cast<uint64_t>(shape.n_windowed()); }

    KvPages keys(int layer) const { return {memory_.data() + place(layer).keys, values_per_page(shape_), shape_.key_type}; }
    KvPages values(int layer) const {
        if (shape_.values_are_keys) return keys(layer);
        return {memory_.data() + place(layer).values, values_per_page(shape_), shape_.value_type};
    }
    bool is_windowed(int layer) const { return shape_.is_windowed(layer); }
    bool has_windows() const noexcept { return shape_.window > 0; }

  private:
    struct Place {
        int64_t keys = 0, values = 0;  // bytes from the beginning
    };
    static int64_t values_per_page(const KvShape& shape) {
        return static_cast<int64_t>(shape.n_kv_heads) * kv_page_tokens * shape.head_dim;
    }
    // Of a page, in one layer.
    static uint64_t layer_bytes(const KvShape& shape) {
        const int64_t keys = kv_bytes(shape.key_type, values_per_page(shape));
        return static_cast<uint64_t>(keys + (shape.values_are_keys ? 0 : kv_bytes(shape.value_type, values_per_page(shape))));
    }
    const Place& place(int layer) const { return places_[static_cast<size_t>(layer)]; }

    KvShape shape_;
    std::vector<Place> places_;  // by layer
    Buffer memory_;
};

}  // namespace quern
