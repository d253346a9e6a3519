#include "engine/memory_budget.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace quern {
namespace {

constexpr uint64_t mib = 1024 * 1024;

int64_t pages_for(int64_t n_tokens) { return (n_tokens + kv_page_tokens - 1) / kv_page_tokens; }

}  // namespace

KvBudget plan_kv(const EngineOptions& options, KvShape shape, int64_t n_ctx_train, uint64_t free_bytes) {
    const uint64_t page_bytes = KvCache::page_bytes(shape);
    const uint64_t budget = options.kv_bytes ? options.kv_bytes : free_bytes / 2;
    const auto affordable = static_cast<int64_t>(std::min<uint64_t>(budget / page_bytes, INT32_MAX));
    KvBudget plan{.n_ctx = options.n_ctx ? options.n_ctx : n_ctx_train};
    if (pages_for(plan.n_ctx) > affordable) {
        if (options.n_ctx || affordable < 1)
            throw InvalidInput(
                concat("a window of ", plan.n_ctx, " tokens needs ", static_cast<uint64_t>(pages_for(plan.n_ctx)) * page_bytes / mib,
                       " MiB of KV cache, but its budget is ", budget / mib, " MiB; ask for a smaller window"),
                "n_ctx");
        plan.n_ctx = affordable * kv_page_tokens;
        log_warning(concat("the model's window of ", n_ctx_train, " tokens does not fit in the memory: using ", plan.n_ctx));
    }
    if (plan.n_ctx > n_ctx_train)
        log_warning(concat("a window of ", plan.n_ctx, " tokens is more than the ", n_ctx_train, " that the model was trained for"));
    plan.n_pages = std::min(affordable, pages_for(plan.n_ctx) * options.n_sequences);
    return plan;
}

}  // namespace quern
