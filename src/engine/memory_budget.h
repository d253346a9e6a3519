// How large the window and the KV cache may be on this machine.
#pragma once

#include <cstdint>

#include "engine/engine.h"
#include "graph/kv_cache.h"

namespace quern {

struct KvBudget {
    int64_t n_ctx = 0;    ///< window of a request
    int64_t n_pages = 0;  ///< pages of the cache
};

/// Chooses a window and a number of pages: as asked, or the model's own window shrunk to what `free_bytes` holds, and pages for every
/// sequence as far as half of the free memory goes (pages are only taken from the system when first used).
/// @throws InvalidInput  when the window that was asked for cannot be held, with the numbers
KvBudget plan_kv(const EngineOptions& options, KvShape shape, int64_t n_ctx_train, uint64_t free_bytes);

}  // namespace quern
