// Gives each value of a plan its place in one workspace: values that are alive at the same time never overlap.
#pragma once

#include "graph/plan.h"

namespace quern {

/// Sets every Value::offset and Plan::workspace_bytes for batches of up to n_tokens with up to n_outputs rows of logits. Exact: nothing
/// else is allocated while the plan runs.
void plan_memory(Plan& plan, int64_t n_tokens, int64_t n_outputs);

}  // namespace quern
