// How large the window and the KV cache may be on this machine.
#pragma once

#include <cstdint>

#include "engine/engine.h"
#include "graph/kv_cache.h"

namespace quern {

struct KvBudget {
    int64_t n_ctx = 0;           ///< window of a request
    KvShape shape;               ///< without windowed layers, if those would never give a page back
    int64_t n_pages = 0;         ///< pages of the cache
    int64_t n_window_pages = 0;  ///< those of the windowed layers

    uint64_t bytes() const;
};

/// What decides how many bytes a text of so many tokens takes.
struct KvNeeds {
    KvShape shape;
    int64_t step_tokens = 0;  ///< most that are computed at once: windowed layers have to hold them beside the window
};

/// Chooses a window and numbers of pages: as asked, or the model's own window shrunk to what `free_bytes` holds, and pages for every
/// sequence as far as half of the free memory goes (pages are only taken from the system when first used).
/// @throws InvalidInput  when the window that was asked for cannot be held, with the numbers
KvBudget plan_kv(const EngineOptions& options, const KvNeeds& needs, int64_t n_ctx_train, uint64_t free_bytes);

/// Bytes for one sequence of n_ctx tokens.
uint64_t kv_bytes_of_one(const KvNeeds& needs, int64_t n_ctx);
/// Of these, the windowed layers', if a longer sequence would need no more of them; else 0.
uint64_t window_bytes_of_one(const KvNeeds& needs, int64_t n_ctx);

}  // namespace quern
