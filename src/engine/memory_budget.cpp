#include "engine/memory_budget.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "engine/page_tables.h"

namespace quern {
namespace {

constexpr uint64_t mib = 1024 * 1024;

// Rows of logits in one step when nobody asks for a number.
constexpr int64_t usual_outputs = 64;
// Tokens in one step of answers: those of all sequences, and room for drafts and for answers that are computed anew.
constexpr int64_t usual_answer_tokens = 64;
// Pages without bytes, of a model all of whose layers are windowed: so many for each window page.
constexpr int64_t most_empty_pages = 16;

struct PageBytes {
    explicit PageBytes(const KvNeeds& needs) : PageBytes(needs.shape, needs.draft_page_bytes) {}
    PageBytes(const KvShape& shape, uint64_t draft) : full(KvCache::page_bytes(shape) + draft), window(KvCache::window_page_bytes(shape)) {}
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
    const PageBytes bytes(needs);
    const int64_t short_one = affordable(budget, bytes.full + bytes.window), windows = most_windows(needs);
    if (needs.shape.window == 0 || short_one <= windows) return short_one;
    return affordable(budget - bytes.of(0, windows), bytes.full);
}

// Pages of either kind for the prefixes of finished requests.
int64_t cached_pages(const KvNeeds& needs, const EngineOptions& options) {
    const PageBytes bytes(needs);
    return affordable(options.cache_bytes, bytes.full + bytes.window);
}

// One sequence of full length fits. What is left goes half to windowed layers and half to the others: short texts need as many pages of
// either, long ones more of the others.
void share_out(KvBudget& plan, uint64_t budget, const KvNeeds& needs, const EngineOptions& options) {
    const PageBytes bytes(plan.shape, plan.draft_page_bytes);
    const int64_t full = pages_for(plan.n_ctx), windows = std::min(full, plan.shape.window > 0 ? most_windows(needs) : 0);
    const int64_t cached = cached_pages(needs, options);
    const int64_t more_full = full * (options.n_sequences - 1) + cached;
    const int64_t more_windows = plan.shape.window > 0 ? windows * (options.n_sequences - 1) + cached : 0;
    const uint64_t rest = budget - bytes.of(full, windows);
    int64_t extra_windows = std::min(more_windows, affordable(plan.shape.window > 0 ? rest / 2 : 0, bytes.window));
    const int64_t extra_full = std::min(more_full, affordable(rest - bytes.of(0, extra_windows), bytes.full));
    if (bytes.window > 0) extra_windows = std::min(more_windows, affordable(rest - bytes.of(extra_full, 0), bytes.window));
    plan.n_window_pages = windows + extra_windows;
    plan.n_pages = full + (bytes.full > 0 ? extra_full : std::min(more_full, plan.n_window_pages * most_empty_pages));
}

/// What the weights and the work memory leave, but for a tenth, which is for others. Weights that do not fit are read from the disk again
/// and again: then the cache gets a quarter.
uint64_t bytes_for_kv(const MemoryNeed& need, uint64_t free_bytes) {
    const uint64_t free = free_bytes / 10 * 9, others = need.weight_bytes + need.workspace_bytes;
    const uint64_t left = free - std::min(free, others);
    const uint64_t least = (free - std::min(free, need.workspace_bytes)) / 4;
    if (left < least && need.weight_bytes > free)
        log_warning(concat("the weights take ", need.weight_bytes / mib, " MiB, and ", free_bytes / mib,
                           " MiB are free: they will be read from the disk again and again"));
    return std::max(left, least);
}

KvShape kv_shape_of(const Model& model, const Graph& graph, const EngineOptions& options) {
    KvShape shape = with_windows(model.kv_shape(), graph);
    for (const KvType type : {options.cache_type_k, options.cache_type_v})
        if (shape.head_dim % traits(type).block_values != 0)
            throw InvalidInput(concat("a cache of type ", traits(type).name, " needs heads of a multiple of ", traits(type).block_values,
                                      " values, but this model's have ", shape.head_dim, ": use f16"),
                               "cache_type");
    shape.key_type = options.cache_type_k;
    shape.value_type = options.cache_type_v;
    return shape;
}

}  // namespace

uint64_t KvBudget::bytes() const { return PageBytes(shape, 0).of(n_pages, n_window_pages); }

BatchLimits prompt_limits(const EngineOptions& options) {
    return {.n_tokens = std::max<int64_t>(options.n_batch, options.n_sequences),
            .n_outputs = std::max<int64_t>(options.n_outputs > 0 ? options.n_outputs : usual_outputs, options.n_sequences)};
}

BatchLimits answer_limits(const EngineOptions& options) {
    const int64_t n = std::max<int64_t>(options.n_sequences, std::min(usual_answer_tokens, options.n_batch));
    return {.n_tokens = n, .n_outputs = options.draft_ngram > 0 || !options.draft_model_path.empty() ? n : options.n_sequences};
}

// Executors for answers have less to keep in every respect, so that the scratch memory is that of the prompts'.
uint64_t work_bytes(const Graph& graph, const Device& device, const EngineOptions& options) {
    return Executor::memory_bytes(graph, device, prompt_limits(options)) + Executor::workspace_bytes(graph, answer_limits(options));
}

ModelNeeds needs_of(const GgufFile& file, const Model& model, const Graph& graph, Device& device, const EngineOptions& options) {
    MemoryNeed need{.n_ctx = options.n_ctx > 0 ? options.n_ctx : model.n_ctx_train(),
                    .n_ctx_train = model.n_ctx_train(),
                    .weight_bytes = file.file_bytes(),
                    .workspace_bytes = work_bytes(graph, device, options)};
    KvNeeds kv{.shape = kv_shape_of(model, graph, options),
               .step_tokens = std::max(prompt_limits(options).n_tokens, answer_limits(options).n_tokens)};
    if (!options.draft_model_path.empty()) {
        const DraftNeed draft =
            draft_need(device, {.path = options.draft_model_path, .n_sequences = options.n_sequences, .n_ctx = need.n_ctx});
        need.draft_weight_bytes = draft.file_bytes;
        need.weight_bytes += draft.file_bytes;
        need.workspace_bytes += draft.workspace_bytes;
        kv.draft_page_bytes = draft.page_bytes;
    }
    const int64_t cached = cached_pages(kv, options);
    need.kv_bytes = kv_bytes_of_one(kv, need.n_ctx);
    need.kv_window_bytes = window_bytes_of_one(kv, need.n_ctx);
    need.useful_kv_bytes = need.kv_bytes * static_cast<uint64_t>(options.n_sequences) + PageBytes(kv).of(cached, cached);
    return {need, kv};
}

uint64_t kv_bytes_of_one(const KvNeeds& needs, int64_t n_ctx) {
    const int64_t n = pages_for(n_ctx);
    return PageBytes(needs).of(n, std::min(n, most_windows(needs)));
}

uint64_t window_bytes_of_one(const KvNeeds& needs, int64_t n_ctx) {
    const int64_t n = most_windows(needs);
    return pages_for(n_ctx) > n ? PageBytes(needs).of(0, n) : 0;
}

KvBudget plan_kv(const EngineOptions& options, const ModelNeeds& needs, uint64_t free_bytes) {
    const auto& [need, kv] = needs;
    const uint64_t budget = options.kv_bytes ? options.kv_bytes : bytes_for_kv(need, free_bytes);
    KvBudget plan{.n_ctx = need.n_ctx, .shape = kv.shape, .draft_page_bytes = kv.draft_page_bytes};
    const uint64_t wanted = kv_bytes_of_one(kv, plan.n_ctx);
    if (wanted > budget) {
        const int64_t longest = longest_affordable(kv, budget);
        if (options.n_ctx || longest < 1)
            throw InvalidInput(concat("a window of ", plan.n_ctx, " tokens needs ", wanted / mib, " MiB of KV cache, but its budget is ",
                                      budget / mib, " MiB; ask for a smaller window"),
                               "n_ctx");
        plan.n_ctx = longest * kv_page_tokens;
        log_warning(concat("the model's window of ", need.n_ctx_train, " tokens does not fit in the memory: using ", plan.n_ctx));
    }
    if (plan.n_ctx > need.n_ctx_train && options.rope.scaling.empty() && !options.rope.freq_scale && !options.rope.freq_base)
        log_warning(concat("a window of ", plan.n_ctx, " tokens is more than the ", need.n_ctx_train, " that the model was trained for"));
    if (pages_for(plan.n_ctx) <= most_windows(kv)) {  // nothing would ever be given back
        plan.shape.window = 0;
        plan.shape.windowed.clear();
    }
    share_out(plan, budget, kv, options);
    return plan;
}

}  // namespace quern
