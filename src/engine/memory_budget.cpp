#include "engine/memory_budget.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace quern {
namespace {

constexpr uint64_t mib = 1024 * 1024;

// Rows of logits in one step when nobody asks for a number.
constexpr int64_t usual_outputs = 64;
// Tokens in one step of answers: those of all sequences, and room for drafts and for answers that are computed anew.
constexpr int64_t usual_answer_tokens = 64;

int64_t pages_for(int64_t n_tokens) { return (n_tokens + kv_page_tokens - 1) / kv_page_tokens; }

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

}  // namespace

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

KvShape kv_shape_of(const Model& model, const EngineOptions& options) {
    KvShape shape = model.kv_shape();
    for (const KvType type : {options.cache_type_k, options.cache_type_v})
        if (shape.head_dim % traits(type).block_values != 0)
            throw InvalidInput(concat("a cache of type ", traits(type).name, " needs heads of a multiple of ", traits(type).block_values,
                                      " values, but this model's have ", shape.head_dim, ": use f16"),
                               "cache_type");
    shape.key_type = options.cache_type_k;
    shape.value_type = options.cache_type_v;
    return shape;
}

MemoryNeed need_of(const GgufFile& file, const Model& model, const Graph& graph, Device& device, const EngineOptions& options) {
    MemoryNeed need{.n_ctx = options.n_ctx > 0 ? options.n_ctx : model.n_ctx_train(),
                    .n_ctx_train = model.n_ctx_train(),
                    .weight_bytes = file.file_bytes(),
                    .page_bytes = KvCache::page_bytes(kv_shape_of(model, options)),
                    .workspace_bytes = work_bytes(graph, device, options)};
    if (!options.draft_model_path.empty()) {
        const DraftNeed draft =
            draft_need(device, {.path = options.draft_model_path, .n_sequences = options.n_sequences, .n_ctx = need.n_ctx});
        need.draft_weight_bytes = draft.file_bytes;
        need.weight_bytes += draft.file_bytes;
        need.draft_page_bytes = draft.page_bytes;
        need.page_bytes += draft.page_bytes;
        need.workspace_bytes += draft.workspace_bytes;
    }
    const auto n_pages = static_cast<uint64_t>(pages_for(need.n_ctx));
    need.kv_bytes = n_pages * need.page_bytes;
    need.useful_kv_bytes =
        need.kv_bytes * static_cast<uint64_t>(options.n_sequences) + options.cache_bytes / need.page_bytes * need.page_bytes;
    return need;
}

KvBudget plan_kv(const EngineOptions& options, const MemoryNeed& need, uint64_t free_bytes) {
    const uint64_t budget = options.kv_bytes ? options.kv_bytes : bytes_for_kv(need, free_bytes);
    const auto affordable = static_cast<int64_t>(std::min<uint64_t>(budget / need.page_bytes, INT32_MAX));
    KvBudget plan{.n_ctx = need.n_ctx};
    if (pages_for(plan.n_ctx) > affordable) {
        if (options.n_ctx || affordable < 1)
            throw InvalidInput(concat("a window of ", plan.n_ctx, " tokens needs ", need.kv_bytes / mib,
                                      " MiB of KV cache, but its budget is ", budget / mib, " MiB; ask for a smaller window"),
                               "n_ctx");
        plan.n_ctx = affordable * kv_page_tokens;
        log_warning(concat("the model's window of ", need.n_ctx_train, " tokens does not fit in the memory: using ", plan.n_ctx));
    }
    if (plan.n_ctx > need.n_ctx_train && options.rope.scaling.empty() && !options.rope.freq_scale && !options.rope.freq_base)
        log_warning(concat("a window of ", plan.n_ctx, " tokens is more than the ", need.n_ctx_train, " that the model was trained for"));
    const auto useful = static_cast<int64_t>(options.cache_bytes / need.page_bytes) + pages_for(plan.n_ctx) * options.n_sequences;
    plan.n_pages = std::min(affordable, useful);
    return plan;
}

}  // namespace quern
