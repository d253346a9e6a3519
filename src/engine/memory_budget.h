// How large the window and the KV cache may be on this machine, and what else a model takes.
#pragma once

#include <cstdint>

#include "engine/engine.h"
#include "engine/speculation.h"
#include "graph/executor.h"
#include "graph/kv_cache.h"
#include "models/model.h"

namespace quern {

/// What decides how many bytes a text of so many tokens takes.
struct KvNeeds {
    KvShape shape;
    int64_t step_tokens = 0;        ///< most that are computed at once: windowed layers have to hold them beside the window
    uint64_t draft_page_bytes = 0;  ///< of the draft model's cache, which has as many pages
};

struct KvBudget {
    int64_t n_ctx = 0;              ///< window of a request
    KvShape shape;                  ///< without windowed layers, if those would never give a page back
    int64_t n_pages = 0;            ///< pages of the cache, and of the draft model's
    int64_t n_window_pages = 0;     ///< those of the windowed layers
    uint64_t draft_page_bytes = 0;  ///< as in KvNeeds

    uint64_t bytes() const;  ///< the draft model's excepted
};

/// Batches for prompts, and for answers.
BatchLimits prompt_limits(const EngineOptions& options);
BatchLimits answer_limits(const EngineOptions& options);

/// Workspaces and scratch of both executors for these batches.
uint64_t work_bytes(const Graph& graph, const Device& device, const EngineOptions& options);

struct ModelNeeds {
    MemoryNeed memory;
    KvNeeds kv;
};

/// What the model takes, its draft model included.
/// @param graph  of the model for its window
/// @throws InvalidInput  when its heads cannot be kept in the types that the options name
ModelNeeds needs_of(const GgufFile& file, const Model& model, const Graph& graph, Device& device, const EngineOptions& options);

/// Chooses a window and numbers of pages: as asked, or the model's own window shrunk to what there is, and pages for every sequence and
/// for the prefixes of finished ones, as far as options.kv_bytes, or else the memory, goes (pages are taken from the system when first
/// used).
/// @param free_bytes  of the machine, before anything of the model is in memory
/// @throws InvalidInput  when the window that was asked for cannot be held, with the numbers
KvBudget plan_kv(const EngineOptions& options, const ModelNeeds& needs, uint64_t free_bytes);

/// Bytes for one sequence of n_ctx tokens.
uint64_t kv_bytes_of_one(const KvNeeds& needs, int64_t n_ctx);
/// Of these, the windowed layers', if a longer sequence would need no more of them; else 0.
uint64_t window_bytes_of_one(const KvNeeds& needs, int64_t n_ctx);

}  // namespace quern
