#include "engine/memory_budget.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "engine/page_tables.h"

namespace quern {
namespace {

constexpr uint64_t mib = 1024 * 1024;
// Pages without bytes, of a model all of whose layers are windowed: so many for each window page.
constexpr int64_t most_empty_pages = 16;

struct PageBytes {
    explicit PageBytes(const KvShape& shape) : full(KvCache::page_bytes(shape)), window(KvCache::window_page_bytes(shape)) {}
    uint64_t full, window;
    uint64_t of(int64_t n_full, int64_t n_window) const {
        return full * static_cast<uint64_t>(n_full) + window * static_cast<uint64_t>(n_window);
    }
};

// Pages that these bytes hold.
int64_t affordable(uint64_t bytes, uint64_t page_bytes) {
    return page_bytes == 0 ? INT32_MAX : static_cast<int64_t>(std::min<uint64_t>(bytes / page_bytes, INT32_MAX));
}

// The most window pages of one sequence, however long.
int64_t most_windows(const KvNeeds& needs) { return needs.shape.window > 0 ? most_window_pages(needs.shape.window, needs.step_tokens) : 0; }

// The longest sequence within the budget, in pages.
int64_t longest_affordable(const KvNeeds& needs, uint64_t budget) {
    const PageBytes bytes(needs.shape);
    const int64_t short_one = affordable(budget, bytes.full + bytes.window), windows = most_windows(needs);
    if (needs.shape.window == 0 || short_one <= windows) return short_one;
    return affordable(budget - bytes.of(0, windows), bytes.full);
}

// One sequence of full length fits. What is left goes half to windowed layers and half to the others: short texts need as many pages of
// either, long ones more of the others.
void share_out(KvBudget& plan, uint64_t budget, const KvNeeds& needs, int n_sequences) {
    const PageBytes bytes(plan.shape);
    const int64_t full = pages_for(plan.n_ctx), windows = std::min(full, plan.shape.window > 0 ? most_windows(needs) : 0);
    const int64_t more_full = full * (n_sequences - 1), more_windows = windows * (n_sequences - 1);
    const uint64_t rest = budget - bytes.of(full, windows);
    int64_t extra_windows = std::min(more_windows, affordable(plan.shape.window > 0 ? rest / 2 : 0, bytes.window));
    const int64_t extra_full = std::min(more_full, affordable(rest - bytes.of(0, extra_windows), bytes.full));
    if (bytes.window > 0) extra_windows = std::min(more_windows, affordable(rest - bytes.of(extra_full, 0), bytes.window));
    plan.n_window_pages = windows + extra_windows;
    plan.n_pages = full + (bytes.full > 0 ? extra_full : std::min(more_full, plan.n_window_pages * most_empty_pages));
}

}  // namespace

uint64_t KvBudget::bytes() const { return PageBytes(shape).of(n_pages, n_window_pages); }

uint64_t kv_bytes_of_one(const KvNeeds& needs, int64_t n_ctx) {
    const int64_t n = pages_for(n_ctx);
    return PageBytes(needs.shape).of(n, std::min(n, most_windows(needs)));
}

uint64_t window_bytes_of_one(const KvNeeds& needs, int64_t n_ctx) {
    const int64_t n = most_windows(needs);
    return pages_for(n_ctx) > n ? PageBytes(needs.shape).of(0, n) : 0;
}

KvBudget plan_kv(const EngineOptions& options, const KvNeeds& needs, int64_t n_ctx_train, uint64_t free_bytes) {
    const uint64_t budget = options.kv_bytes ? options.kv_bytes : free_bytes / 2;
    KvBudget plan{.n_ctx = options.n_ctx ? options.n_ctx : n_ctx_train, .shape = needs.shape};
    const uint64_t wanted = kv_bytes_of_one(needs, plan.n_ctx);
    if (wanted > budget) {
        const int64_t longest = longest_affordable(needs, budget);
        if (options.n_ctx || longest < 1)
            throw InvalidInput(concat("a window of ", plan.n_ctx, " tokens needs ", wanted / mib, " MiB of KV cache, but its budget is ",
                                      budget / mib, " MiB; ask for a smaller window"),
                               "n_ctx");
        plan.n_ctx = longest * kv_page_tokens;
        log_warning(concat("the model's window of ", n_ctx_train, " tokens does not fit in the memory: using ", plan.n_ctx));
    }
    if (plan.n_ctx > n_ctx_train)
        log_warning(concat("a window of ", plan.n_ctx, " tokens is more than the ", n_ctx_train, " that the model was trained for"));
    if (pages_for(plan.n_ctx) <= most_windows(needs)) {  // nothing would ever be given back
        plan.shape.window = 0;
        plan.shape.windowed.clear();
    }
    share_out(plan, budget, needs, options.n_sequences);
    return plan;
}

}  // namespace quern
