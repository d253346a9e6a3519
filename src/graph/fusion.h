// Lowers a graph to phases. What it fuses around matmuls that share an input: the norm before them, and after each of them
// bias, norm of each head, activation, rotary embedding, the write into the KV cache, the residual add; and activation(gate) * up. A norm
// of its own takes the residual add after it along. Anything else becomes a step of its own.
#pragma once

#include "graph/plan.h"

namespace quern {

enum class Fusion : uint8_t { on, off };  ///< off: one step for each node, the slow reference that tests compare with

/// The values' offsets are not set yet: see plan_memory().
Plan lower(const Graph& graph, Fusion fusion = Fusion::on);

}  // namespace quern
