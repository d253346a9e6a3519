// Reading texts for their logits, and for the vectors that are made of them.
#include "engine/local_evaluation.h"

#include "engine/local_engine.h"
#include "engine/text_vector.h"

namespace quern {

void Engine::evaluate(std::span<const TokenId> tokens, int64_t first_wanted, const LogitsSink& sink) {
    start_evaluation({.tokens = {tokens.begin(), tokens.end()}, .first_wanted = first_wanted, .sink = sink, .on_done = {}})->wait();
}

std::vector<float> Engine::embed(std::span<const TokenId> tokens, std::optional<Pooling> pooling) {
    std::vector<float> vector;
    start_embedding({.tokens = {tokens.begin(), tokens.end()},
                     .pooling = pooling,
                     .take = [&vector](std::vector<float> made) { vector = std::move(made); },
                     .on_done = {}})
        ->wait();
    return vector;
}

std::shared_ptr<Evaluation> Engine::start_embedding(EmbeddingRequest) {
    throw InvalidInput("this model has no embeddings: take one that was trained for them", "model");
}

LocalEvaluation::~LocalEvaluation() {
    if (finish_) return;
    channel_->cancel();
    wake_engine_();
}

bool LocalEvaluation::is_done() {
    if (!finish_) finish_ = channel_->take(false).finish;
    return finish_.has_value();
}

void LocalEvaluation::wait() {
    while (!finish_) finish_ = channel_->take(true).finish;
    if (*finish_ == FinishReason::cancelled) throw EngineBusy("the model is being unloaded; try again later");
    if (*finish_ == FinishReason::error) {
        if (reading_->error) std::rethrow_exception(reading_->error);
        throw InternalError(channel_->error());
    }
}

std::shared_ptr<Evaluation> LocalEngine::start_evaluation(EvaluationRequest request) {
    require_predictions();
    if (request.tokens.empty()) throw InvalidInput("there are no tokens to evaluate", "prompt");
    check_tokens(request.tokens, "prompt");
    const auto n_tokens = static_cast<int64_t>(request.tokens.size());
    if (request.first_wanted < 0 || request.first_wanted >= n_tokens)
        throw InvalidInput(concat("there is no position ", request.first_wanted, " in a text of ", n_tokens, " tokens"));
    if (n_tokens > info_.n_ctx)
        throw ContextOverflow(concat("this model's window is ", info_.n_ctx, " tokens, but the prompt has ", n_tokens), "prompt");
    return start_reading(std::move(request));
}

std::shared_ptr<Evaluation> LocalEngine::start_embedding(EmbeddingRequest request) {
    if (!model_->pooling()) return Engine::start_embedding(std::move(request));
    if (request.tokens.empty()) throw InvalidInput("there is no text to make a vector of", "input");
    check_tokens(request.tokens, "input");
    const auto n_tokens = static_cast<int64_t>(request.tokens.size());
    if (n_tokens > info_.n_ctx)
        throw ContextOverflow(concat("this model's window is ", info_.n_ctx, " tokens, but the text has ", n_tokens, "; shorten the text"),
                              "input");
    auto pool = [n_embd = info_.n_embd, pooling = request.pooling.value_or(*model_->pooling()), take = std::move(request.take)](
                    int64_t, std::span<const float> rows) { take(pool_rows(rows, n_embd, pooling)); };
    return start_reading({.tokens = std::move(request.tokens), .sink = std::move(pool), .on_done = std::move(request.on_done)});
}

std::shared_ptr<Evaluation> LocalEngine::start_reading(EvaluationRequest request) {
    const auto n_tokens = static_cast<int64_t>(request.tokens.size());
    auto reading = std::make_shared<Reading>(
        Reading{.sink = std::move(request.sink), .first_wanted = request.first_wanted, .in_one_chunk = info_.pooling.has_value()});
    auto sequence = std::make_unique<Sequence>(Sequence{.channel = std::make_shared<OutputChannel>(std::move(request.on_done)),
                                                        .sampler = Sampler({}, {}),
                                                        .n_prompt = n_tokens,
                                                        .n_limit = n_tokens,
                                                        .reuse_prefix = false,
                                                        .submitted = Sequence::Clock::now()});
    sequence->tokens.reserve(request.tokens.size());
    for (const TokenId token : request.tokens) sequence->tokens.push_back(token.value);
    sequence->stats.n_prompt_tokens = n_tokens;
    sequence->reading = reading;
    auto evaluation = std::make_shared<LocalEvaluation>(sequence->channel, std::move(reading), waker());
    enqueue(std::move(sequence));
    return evaluation;
}

}  // namespace quern
