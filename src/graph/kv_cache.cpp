#include "graph/kv_cache.h"

namespace quern {

KvShape with_windows(KvShape shape, const Graph& graph) {
    for (const Node& node : graph.nodes()) {
        if (node.op != Op::attend || node.attention.window <= 0 || !node.attention.causal) continue;
        shape.windowed.resize(static_cast<size_t>(shape.n_layers));
        shape.windowed[static_cast<size_t>(node.layer)] = true;
        shape.window = std::max(shape.window, node.attention.window);
    }
    return shape;
}

KvCache::KvCache(Device& device, const KvShape& shape, int64_t n_pages, int64_t n_window_pages) : shape_(shape) {
    const auto side_bytes = [&](int layer, KvType type) {
        return (shape.is_windowed(layer) ? n_window_pages : n_pages) * kv_bytes(type, values_per_page(shape));
    };
    int64_t at = 0;
    for (int layer = 0; layer < shape.n_layers; ++layer) {
        places_.push_back({.keys = at});
        at += side_bytes(layer, shape.key_type);
        places_.back().values = at;
        if (!shape.values_are_keys) at += side_bytes(layer, shape.value_type);
    }
    memory_ = device.allocate(static_cast<uint64_t>(at), "the KV cache (a smaller window, -c, takes less)");
}

}  // namespace quern
