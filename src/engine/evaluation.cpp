// Whole texts through the model, beside what the scheduler does: logits of every position, vectors of texts, scores of pairs.
#include <algorithm>
#include <chrono>
#include <limits>

#include "engine/local_engine.h"
#include "engine/text_vector.h"
#include "models/classifier_head.h"

namespace quern {
namespace {

// While nobody waits for a token: requests that arrive are seen that soon.
constexpr double vector_slice_seconds = 0.05;

}  // namespace

void LocalEngine::evaluate(std::span<const TokenId> tokens, int64_t first_wanted, const LogitsSink& sink) {
    require_predictions();
    if (tokens.empty()) throw InvalidInput("there are no tokens to evaluate", "prompt");
    check_tokens(tokens, "prompt");
    if (first_wanted < 0 || first_wanted >= static_cast<int64_t>(tokens.size()))
        throw InvalidInput(concat("there is no position ", first_wanted, " in a text of ", tokens.size(), " tokens"));
    if (static_cast<int64_t>(tokens.size()) > info_.n_ctx)
        throw ContextOverflow(concat("this model's maximum context length is ", info_.n_ctx, " tokens, but the prompt has ", tokens.size()),
                              "prompt");
    run_between_steps([&] { evaluate_now(*prompts_, {.tokens = tokens, .first_wanted = first_wanted}, sink); });
}

void LocalEngine::check_text(std::span<const TokenId> tokens) const {
    if (tokens.empty()) throw InvalidInput("there is no text to make a vector of", "input");
    check_tokens(tokens, "input");
    if (static_cast<int64_t>(tokens.size()) > info_.n_ctx)
        throw ContextOverflow(concat("this model's maximum context length is ", info_.n_ctx, " tokens, but the text has ", tokens.size(),
                                     "; shorten the text"),
                              "input");
}

std::vector<float> LocalEngine::embed(std::span<const TokenId> tokens, std::optional<Pooling> pooling) {
    if (!info_.pooling) return Engine::embed(tokens, pooling);
    const Pooling how = pooling.value_or(*info_.pooling);
    if (how == Pooling::rank)
        throw InvalidInput("this model scores pairs of texts, as /v1/rerank does; for vectors choose --pooling mean, cls or last", "model");
    check_text(tokens);
    TextVector vector(info_.n_embd, how);
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    make_vectors({.tokens = tokens, .first_wanted = how == Pooling::last ? n_tokens - 1 : 0},
                 [&](int64_t, std::span<const float> rows) { vector.add(rows); });
    return vector.result();
}

std::vector<float> LocalEngine::score(const Tokenizer::Pair& pair) {
    const ClassifierHead* head = model_->head();
    if (!head) return Engine::score(pair);
    check_text(pair.tokens);
    TextVector first(info_.n_embd, Pooling::cls);
    make_vectors({.tokens = pair.tokens, .second_begin = pair.second_begin},
                 [&](int64_t, std::span<const float> rows) { first.add(rows); });
    return head->scores(first.result());
}

// An encoder computes nothing else. Any other model goes on with its answers and prompts between parts of the text.
void LocalEngine::make_vectors(Evaluation text, const LogitsSink& sink) {
    if (!vectors_) return run_between_steps([&] { evaluate_now(*prompts_, std::move(text), sink); });
    const std::lock_guard lock(one_text_);
    bool more = true;
    const auto give_back = [&] { text.pages.release_all(*prefixes_); };
    try {
        while (more)
            run_between_steps([&] {
                const double seconds = scheduler_->n_running() > 0 ? times_.time_for_prompts() : vector_slice_seconds;
                more = advance(*vectors_, text, seconds, sink);
            });
    } catch (...) {
        run_between_steps(give_back);
        throw;
    }
    run_between_steps(give_back);
}

// Running sequences make room if they must and are computed anew later.
void LocalEngine::cover(Evaluation& text, int64_t n_tokens) {
    while (!text.pages.cover(*prefixes_, n_tokens))
        if (!scheduler_->preempt_youngest()) throw DeviceError("the KV cache has no room to evaluate this text");
}

void LocalEngine::begin_batch(Executor& executor, Evaluation& text) {
    const BatchLimits& limits = executor.limits();
    const int64_t at = text.n_done, n_left = static_cast<int64_t>(text.tokens.size()) - at;
    const int64_t n_before = std::clamp<int64_t>(text.first_wanted - at, 0, limits.n_tokens);
    const int64_t n = n_before + std::min({limits.n_tokens - n_before, limits.n_outputs, n_left - n_before});
    cover(text, at + n);
    if (at == 0) text.adapter_scales = default_scales();
    text.batch.clear();
    text.outputs.clear();
    text.types.clear();
    for (int64_t i = 0; i < n; ++i) {
        const auto token = static_cast<size_t>(at + i);
        text.batch.push_back(text.tokens[token].value);
        text.types.push_back(token >= text.second_begin);
        if (i >= n_before) text.outputs.push_back(static_cast<int32_t>(i));
    }
    text.sequence = {.n_tokens = n, .first_position = at, .page_table = text.pages.full(), .window_page_table = text.pages.windows()};
    executor.begin({.tokens = text.batch,
                    .sequences = {&text.sequence, 1},
                    .outputs = text.outputs,
                    .types = text.types,
                    .output_kernels = TokenKernels::many,
                    .adapter_scales = text.adapter_scales},
                   *cache_);
}

// Computes for so long, or until the text's end: false then.
bool LocalEngine::advance(Executor& executor, Evaluation& text, double seconds, const LogitsSink& sink) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    do {
        if (text.batch.empty()) begin_batch(executor, text);
        if (executor.advance()) continue;
        const auto n = static_cast<int64_t>(text.batch.size()), n_outputs = static_cast<int64_t>(text.outputs.size());
        require_intact_files();
        if (n_outputs > 0) sink(text.n_done + n - n_outputs, executor.logits());
        text.n_done += n;
        text.pages.give_back_before(*prefixes_, text.n_done, scheduler_->window());
        text.batch.clear();
        if (text.n_done == static_cast<int64_t>(text.tokens.size())) return false;
    } while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
    return true;
}

void LocalEngine::evaluate_now(Executor& executor, Evaluation text, const LogitsSink& sink) {
    scheduler_->drop_chunk();  // the executor is needed; the chunk is begun anew
    try {
        while (advance(executor, text, std::numeric_limits<double>::infinity(), sink)) {
        }
    } catch (...) {
        text.pages.release_all(*prefixes_);
        throw;
    }
    text.pages.release_all(*prefixes_);
}

}  // namespace quern
