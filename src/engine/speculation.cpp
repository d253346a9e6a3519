#include "engine/speculation.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

constexpr int64_t most_read = 256;   // tokens of texts that are read in one call, while answers wait
constexpr int64_t most_behind = 16;  // tokens beyond those it knows that are fed with the guesses
constexpr int shortest_run = 2;      // one token in common says little

BatchLimits reader_limits() { return {.n_tokens = most_read, .n_outputs = 0}; }

BatchLimits writer_limits(const DraftModel::Options& options) {
    return {.n_tokens = std::max<int64_t>(4 * most_behind, options.n_sequences), .n_outputs = options.n_sequences};
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
    reader_ = std::make_unique<Executor>(graph, device_, reader_limits(), Fusion::on, TokenKernels::many);
    writer_ = std::make_unique<Executor>(graph, device_, writer_limits(options), Fusion::on, TokenKernels::few);
    pool_ = std::make_unique<PagePool>(std::clamp<int64_t>(options.n_pages, pages_for(n_ctx_), pages_for(n_ctx_) * options.n_sequences));
    cache_ = std::make_unique<KvCache>(device_, model_->kv_shape(), pool_->n_pages());
}

DraftNeed draft_need(Device& device, const DraftModel::Options& options) {
    const auto file = GgufFile::open(options.path);
    const auto model = load_model(*file);
    const Graph graph = model->build(std::min(options.n_ctx, model->n_ctx_train()));
    return {.file_bytes = file->file_bytes(),
            .page_bytes = KvCache::page_bytes(model->kv_shape()),
            .workspace_bytes =
                Executor::memory_bytes(graph, device, reader_limits()) + Executor::memory_bytes(graph, device, writer_limits(options))};
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

void DraftModel::clear_batch() {
    tokens_.clear();
    outputs_.clear();
    spans_.clear();
}

// The next n_tokens of the text and its draft.
void DraftModel::add_to_batch(const Sequence& sequence, State& state, size_t n_tokens) {
    spans_.push_back({.first_token = static_cast<int64_t>(tokens_.size()),
                      .n_tokens = static_cast<int64_t>(n_tokens),
                      .first_position = static_cast<int64_t>(state.fed.size()),
                      .page_table = state.page_table.data()});
    const size_t n_text = sequence.tokens.size();
    for (size_t i = 0; i < n_tokens; ++i) {
        const size_t at = state.fed.size();
        state.fed.push_back(at < n_text ? sequence.tokens[at] : sequence.draft[at - n_text]);
        tokens_.push_back(state.fed.back());
    }
}

// Forgets what the sequence did not go on with. False when nothing can be proposed for it.
bool DraftModel::prepare(const Sequence& sequence, int64_t n_wanted) {
    State& state = states_[sequence.id];
    const size_t n_common = std::min(state.fed.size(), sequence.tokens.size() - 1);  // the last token's logits are wanted
    const auto end = state.fed.begin() + static_cast<std::ptrdiff_t>(n_common);
    state.fed.erase(std::mismatch(state.fed.begin(), end, sequence.tokens.begin()).first, state.fed.end());
    const auto is_known = [&](int32_t token) { return token < model_->n_vocab(); };
    return n_wanted > 0 &&
           std::all_of(sequence.tokens.begin() + static_cast<std::ptrdiff_t>(state.fed.size()), sequence.tokens.end(), is_known) &&
           cover(state, static_cast<int64_t>(sequence.tokens.size()) + n_wanted);
}

// Reads of the texts that it is far behind with; nothing is wanted for those that it is still behind with.
void DraftModel::catch_up(std::span<Sequence* const> sequences, std::span<int64_t> n_wanted) {
    clear_batch();
    for (size_t i = 0; i < sequences.size(); ++i) {
        const Sequence& sequence = *sequences[i];
        State& state = states_[sequence.id];
        const auto n_behind = static_cast<int64_t>(sequence.tokens.size() - state.fed.size());
        if (n_wanted[i] == 0 || n_behind <= most_behind) continue;
        const int64_t n = std::min(n_behind - 1, most_read - static_cast<int64_t>(tokens_.size()));
        if (n > 0) add_to_batch(sequence, state, static_cast<size_t>(n));
        if (n_behind - n > most_behind) n_wanted[i] = 0;
    }
    if (!tokens_.empty()) reader_->run({.tokens = tokens_, .sequences = spans_, .outputs = outputs_}, *cache_);
}

// Appends the likeliest next token to each draft that is not long enough, in as many batches as the texts' last tokens need.
void DraftModel::extend(std::span<Sequence* const> sequences, std::span<const int64_t> n_wanted) {
    const auto n_vocab = static_cast<size_t>(model_->n_vocab());
    std::vector<size_t> owners;
    const auto compute = [&] {
        const auto logits = writer_->run({.tokens = tokens_, .sequences = spans_, .outputs = outputs_}, *cache_);
        for (size_t i = 0; i < owners.size(); ++i) {
            const auto row = logits.subspan(i * n_vocab, n_vocab);
            sequences[owners[i]]->draft.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
        }
        owners.clear();
        clear_batch();
    };
    clear_batch();
    for (size_t i = 0; i < sequences.size(); ++i) {
        const Sequence& sequence = *sequences[i];
        if (n_wanted[i] <= static_cast<int64_t>(sequence.draft.size())) continue;
        State& state = states_[sequence.id];
        const size_t n = sequence.tokens.size() + sequence.draft.size() - state.fed.size();
        if (tokens_.size() + n > static_cast<size_t>(writer_->limits().n_tokens)) compute();
        add_to_batch(sequence, state, n);
        outputs_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
        owners.push_back(i);
    }
    if (!tokens_.empty()) compute();
}

void DraftModel::propose(std::span<Sequence* const> sequences, std::span<const int64_t> n_wanted) {
    forget_unwanted(sequences);
    std::vector<int64_t> wanted(n_wanted.begin(), n_wanted.end());
    for (size_t i = 0; i < sequences.size(); ++i)
        if (!prepare(*sequences[i], wanted[i])) wanted[i] = 0;
    catch_up(sequences, wanted);
    const int64_t most = wanted.empty() ? 0 : *std::max_element(wanted.begin(), wanted.end());
    for (int64_t k = 0; k < most; ++k) extend(sequences, wanted);
}

}  // namespace quern
