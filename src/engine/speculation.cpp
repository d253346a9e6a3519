#include "engine/speculation.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

constexpr int64_t n_batch = 256;  // tokens that the draft model reads at once
constexpr int shortest_run = 2;   // one token in common says little

BatchLimits limits_of(const DraftModel::Options& options) {
    return {.n_tokens = std::max<int64_t>(n_batch, options.n_sequences), .n_outputs = options.n_sequences};
}

}  // namespace

void look_up_draft(std::span<const int32_t> tokens, int longest, int64_t n_draft, std::vector<int32_t>& draft) {
    draft.clear();
    size_t best_end = 0;
    int best = std::min(shortest_run, longest) - 1;
    for (size_t end = tokens.size() - 1; end > 0 && best < longest; --end) {  // the run would end before tokens[end]
        int length = 0;
        while (length < longest && static_cast<size_t>(length) < end &&
               tokens[end - 1 - static_cast<size_t>(length)] == tokens[tokens.size() - 1 - static_cast<size_t>(length)])
            ++length;
        if (length <= best) continue;
        best = length;
        best_end = end;
    }
    if (best_end == 0) return;
    const size_t n = std::min(static_cast<size_t>(n_draft), tokens.size() - best_end);
    draft.assign(tokens.begin() + static_cast<std::ptrdiff_t>(best_end), tokens.begin() + static_cast<std::ptrdiff_t>(best_end + n));
}

DraftModel::DraftModel(Device& device, const Options& options)
    : device_(device), file_(GgufFile::open(options.path)), model_(load_model(*file_)) {
    if (!model_->predicts_tokens())
        throw InvalidInput(concat(options.path, ": this model makes vectors of texts and guesses nothing"), "model_draft");
    const Graph graph = model_->build(std::min(options.n_ctx, model_->n_ctx_train()));
    for (const Node& node : graph.nodes())
        if ((node.op == Op::matmul || node.op == Op::embed) && !device.supports(node.weight.dtype))
            throw ModelError(
                concat(options.path, ": the draft model has weights in ", dtype_name(node.weight.dtype), ", which quern cannot run"));
    n_ctx_ = std::min(options.n_ctx, model_->n_ctx_train());
    executor_ = std::make_unique<Executor>(graph, device_, limits_of(options));
    pool_ = std::make_unique<PagePool>(std::clamp<int64_t>(options.n_pages, pages_for(n_ctx_), pages_for(n_ctx_) * options.n_sequences));
    cache_ = std::make_unique<KvCache>(device_, model_->kv_shape(), pool_->n_pages());
}

DraftNeed draft_need(Device& device, const DraftModel::Options& options) {
    const auto file = GgufFile::open(options.path);
    const auto model = load_model(*file);
    const Graph graph = model->build(std::min(options.n_ctx, model->n_ctx_train()));
    return {.file_bytes = file->file_bytes(),
            .page_bytes = KvCache::page_bytes(model->kv_shape()),
            .workspace_bytes = Executor::memory_bytes(graph, device, limits_of(options))};
}

void DraftModel::forget_unwanted(std::span<Sequence* const> sequences) {
    for (auto& [id, state] : states_) state.wanted = false;
    for (const Sequence* each : sequences) states_[each->id].wanted = true;
    std::erase_if(states_, [&](auto& each) {
        if (each.second.wanted) return false;
        for (const int32_t page : each.second.page_table) pool_->drop({page});
        return true;
    });
}

void DraftModel::forget_all() noexcept {
    for (auto& [id, state] : states_)
        for (const int32_t page : state.page_table) pool_->drop({page});
    states_.clear();
}

bool DraftModel::cover(State& state, int64_t n_tokens) {
    if (n_tokens > n_ctx_) return false;
    while (static_cast<int64_t>(state.page_table.size()) < pages_for(n_tokens)) {
        state.page_table.push_back(-1);  // before the page is taken: none is lost for want of memory
        const auto page = pool_->take();
        if (!page) {
            state.page_table.pop_back();
            return false;
        }
        state.page_table.back() = page->value;
    }
    return true;
}

// Brings every state up to its sequence's text and draft, and appends the likeliest next token to each draft that is not long enough.
void DraftModel::feed(std::span<Sequence* const> sequences, std::span<int64_t> n_wanted) {
    const BatchLimits& limits = executor_->limits();
    for (bool more = true; more;) {
        more = false;
        std::vector<size_t> owners;
        tokens_.clear();
        outputs_.clear();
        spans_.clear();
        for (size_t i = 0; i < sequences.size(); ++i) {
            const Sequence& sequence = *sequences[i];
            State& state = states_[sequence.id];
            if (n_wanted[i] <= static_cast<int64_t>(sequence.draft.size())) continue;
            const size_t n_text = sequence.tokens.size(), n_all = n_text + sequence.draft.size();
            if (state.fed.size() == n_all) continue;
            const auto room = static_cast<size_t>(limits.n_tokens) - tokens_.size();
            const size_t n = std::min(n_all - state.fed.size(), room);
            if (n == 0) {
                more = true;
                break;
            }
            spans_.push_back({.first_token = static_cast<int64_t>(tokens_.size()),
                              .n_tokens = static_cast<int64_t>(n),
                              .first_position = static_cast<int64_t>(state.fed.size()),
                              .page_table = state.page_table.data()});
            for (size_t k = 0; k < n; ++k) {
                const size_t at = state.fed.size();
                state.fed.push_back(at < n_text ? sequence.tokens[at] : sequence.draft[at - n_text]);
                tokens_.push_back(state.fed.back());
            }
            if (state.fed.size() < n_all) {
                more = true;
                continue;
            }
            outputs_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
            owners.push_back(i);
        }
        if (tokens_.empty()) return;
        const auto logits = executor_->run({.tokens = tokens_, .sequences = spans_, .outputs = outputs_}, *cache_);
        const auto n_vocab = static_cast<size_t>(model_->n_vocab());
        for (size_t i = 0; i < owners.size(); ++i) {
            const auto row = logits.subspan(i * n_vocab, n_vocab);
            sequences[owners[i]]->draft.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
        }
    }
}

void DraftModel::propose(std::span<Sequence* const> sequences, std::span<const int64_t> n_wanted) {
    forget_unwanted(sequences);
    std::vector<int64_t> wanted(n_wanted.begin(), n_wanted.end());
    int64_t most = 0;
    for (size_t i = 0; i < sequences.size(); ++i) {
        const Sequence& sequence = *sequences[i];
        State& state = states_[sequence.id];
        const size_t n_common = std::min(state.fed.size(), sequence.tokens.size() - 1);  // the last token's logits are wanted
        const auto end = state.fed.begin() + static_cast<std::ptrdiff_t>(n_common);
        state.fed.erase(std::mismatch(state.fed.begin(), end, sequence.tokens.begin()).first, state.fed.end());
        if (!cover(state, static_cast<int64_t>(sequence.tokens.size()) + wanted[i])) wanted[i] = 0;
        most = std::max(most, wanted[i]);
    }
    for (int64_t k = 0; k < most; ++k) feed(sequences, wanted);
}

}  // namespace quern
