// Whole texts through the model, beside what the scheduler does: logits of every position, vectors of texts, scores of pairs.
#include <algorithm>

#include "engine/local_engine.h"
#include "engine/text_vector.h"
#include "models/classifier_head.h"

namespace quern {

void LocalEngine::evaluate(std::span<const TokenId> tokens, int64_t first_wanted, const LogitsSink& sink) {
    require_predictions();
    if (tokens.empty()) throw InvalidInput("there are no tokens to evaluate", "prompt");
    check_tokens(tokens, "prompt");
    if (first_wanted < 0 || first_wanted >= static_cast<int64_t>(tokens.size()))
        throw InvalidInput(concat("there is no position ", first_wanted, " in a text of ", tokens.size(), " tokens"));
    if (static_cast<int64_t>(tokens.size()) > info_.n_ctx)
        throw ContextOverflow(concat("this model's window is ", info_.n_ctx, " tokens, but the prompt has ", tokens.size()), "prompt");
    run_between_steps([&] { evaluate_now(*prompts_, {.tokens = tokens, .first_wanted = first_wanted}, sink); });
}

void LocalEngine::check_text(std::span<const TokenId> tokens) const {
    if (tokens.empty()) throw InvalidInput("there is no text to make a vector of", "input");
    check_tokens(tokens, "input");
    if (static_cast<int64_t>(tokens.size()) > info_.n_ctx)
        throw ContextOverflow(
            concat("this model's window is ", info_.n_ctx, " tokens, but the text has ", tokens.size(), "; shorten the text"), "input");
}

std::vector<float> LocalEngine::embed(std::span<const TokenId> tokens, std::optional<Pooling> pooling) {
    if (!info_.pooling) return Engine::embed(tokens, pooling);
    const Pooling how = pooling.value_or(*info_.pooling);
    if (how == Pooling::rank)
        throw InvalidInput("this model scores pairs of texts, as /v1/rerank does; for vectors choose --pooling mean, cls or last", "model");
    check_text(tokens);
    TextVector vector(info_.n_embd, how);
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    const Evaluation text{.tokens = tokens, .first_wanted = how == Pooling::last ? n_tokens - 1 : 0};
    const auto add = [&](int64_t, std::span<const float> rows) { vector.add(rows); };
    run_between_steps([&] { evaluate_now(vectors_ ? *vectors_ : *prompts_, text, add); });
    return vector.result();
}

std::vector<float> LocalEngine::score(const Tokenizer::Pair& pair) {
    const ClassifierHead* head = model_->head();
    if (!head) return Engine::score(pair);
    check_text(pair.tokens);
    TextVector first(info_.n_embd, Pooling::cls);
    const auto add = [&](int64_t, std::span<const float> rows) { first.add(rows); };
    run_between_steps(
        [&] { evaluate_now(vectors_ ? *vectors_ : *prompts_, {.tokens = pair.tokens, .second_begin = pair.second_begin}, add); });
    return head->scores(first.result());
}

// Runs tokens through the model on pages of its own; running sequences make room if they must and are computed anew later.
void LocalEngine::evaluate_now(Executor& executor, const Evaluation& text, const LogitsSink& sink) {
    const std::span<const TokenId> tokens = text.tokens;
    scheduler_->drop_chunk();  // the executor is needed; the chunk is begun anew
    std::vector<int32_t> pages, batch, outputs, types;
    const auto give_back = [&] {
        for (const int32_t page : pages) prefixes_->release({page});
    };
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    while (static_cast<int64_t>(pages.size()) * kv_page_tokens < n_tokens) {
        if (const auto page = prefixes_->take()) {
            pages.push_back(page->value);
        } else if (!scheduler_->preempt_youngest()) {
            give_back();
            throw DeviceError("the KV cache has no room to evaluate this text");
        }
    }
    try {
        const BatchLimits& limits = executor.limits();
        for (int64_t at = 0; at < n_tokens;) {
            const int64_t n_before = std::clamp<int64_t>(text.first_wanted - at, 0, limits.n_tokens);
            const int64_t n_wanted = std::min({limits.n_tokens - n_before, limits.n_outputs, n_tokens - at - n_before});
            const int64_t n = n_before + n_wanted;
            batch.clear();
            outputs.clear();
            types.clear();
            for (int64_t i = 0; i < n; ++i) types.push_back(static_cast<size_t>(at + i) >= text.second_begin);
            for (int64_t i = 0; i < n; ++i) batch.push_back(tokens[static_cast<size_t>(at + i)].value);
            for (int64_t i = n_before; i < n; ++i) outputs.push_back(static_cast<int32_t>(i));
            const SequenceSpan sequence{.n_tokens = n, .first_position = at, .page_table = pages.data()};
            const auto logits = executor.run(
                {.tokens = batch, .sequences = {&sequence, 1}, .outputs = outputs, .types = types, .output_kernels = TokenKernels::many},
                *cache_);
            if (n_wanted > 0) sink(at + n_before, logits);
            at += n;
        }
    } catch (...) {
        give_back();
        throw;
    }
    give_back();
}

}  // namespace quern
