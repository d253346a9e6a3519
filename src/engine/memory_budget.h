// How large the window and the KV cache may be on this machine, and what else a model takes.
#pragma once

#include <cstdint>

#include "engine/engine.h"
#include "engine/speculation.h"
#include "graph/executor.h"
#include "graph/kv_cache.h"
#include "models/model.h"

namespace quern {

struct KvBudget {
    int64_t n_ctx = 0;    ///< window of a request
    int64_t n_pages = 0;  ///< pages of the cache, and of the draft model's
};

/// Batches for prompts, and for answers.
BatchLimits prompt_limits(const EngineOptions& options);
BatchLimits answer_limits(const EngineOptions& options);

/// @throws InvalidInput  when its heads cannot be kept in the types that the options name
KvShape kv_shape_of(const Model& model, const EngineOptions& options);

/// Workspaces and scratch of both executors for these batches.
uint64_t work_bytes(const Graph& graph, const Device& device, const EngineOptions& options);

/// What the model takes, its draft model included.
/// @param graph  of the model for its window
MemoryNeed need_of(const GgufFile& file, const Model& model, const Graph& graph, Device& device, const EngineOptions& options);

/// Chooses a window and a number of pages: as asked, or the model's own window shrunk to what there is, and pages for every sequence and
/// for the prefixes of finished ones, as far as options.kv_bytes, or else the memory, goes (pages are taken from the system when first
/// used).
/// @param free_bytes  of the machine, before anything of the model is in memory
/// @throws InvalidInput  when the window that was asked for cannot be held, with the numbers
KvBudget plan_kv(const EngineOptions& options, const MemoryNeed& need, uint64_t free_bytes);

}  // namespace quern
