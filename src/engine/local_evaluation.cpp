// Reading texts for their logits, and for the vectors that are made of them.
#include "engine/local_evaluation.h"

#include "engine/local_engine.h"
#include "engine/text_vector.h"
#include "models/classifier_head.h"

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

std::vector<float> Engine::score(const Tokenizer::Pair& pair) {
    std::vector<float> scores;
    start_scoring({.pair = pair, .take = [&scores](std::vector<float> made) { scores = std::move(made); }, .on_done = {}})->wait();
    return scores;
}

std::shared_ptr<Evaluation> Engine::start_embedding(EmbeddingRequest) {
    throw InvalidInput("this model has no embeddings: take one that was trained for them, or start it with --embeddings", "model");
}

std::shared_ptr<Evaluation> Engine::start_scoring(ScoringRequest) {
    throw InvalidInput("this model cannot score pairs of texts: take a cross-encoder", "model");
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
    if (*finish_ == FinishReason::error) std::rethrow_exception(channel_->failure());
}

std::shared_ptr<Evaluation> LocalEngine::start_evaluation(EvaluationRequest request) {
    require_predictions();
    if (request.tokens.empty()) throw InvalidInput("there are no tokens to evaluate", "prompt");
    check_tokens(request.tokens, "prompt");
    const auto n_tokens = static_cast<int64_t>(request.tokens.size());
    if (request.first_wanted < 0 || request.first_wanted >= n_tokens)
        throw InvalidInput(concat("there is no position ", request.first_wanted, " in a text of ", n_tokens, " tokens"));
    if (n_tokens > info_.n_ctx)
        throw ContextOverflow(concat("this model's maximum context length is ", info_.n_ctx, " tokens, but the prompt has ", n_tokens),
                              "prompt");
    return start_reading({.sink = std::move(request.sink), .first_wanted = request.first_wanted}, request.tokens,
                         std::move(request.on_done), request.goes_on);
}

void LocalEngine::check_text(std::span<const TokenId> tokens) const {
    if (tokens.empty()) throw InvalidInput("there is no text to make a vector of", "input");
    check_tokens(tokens, "input");
    if (static_cast<int64_t>(tokens.size()) > info_.n_ctx)
        throw ContextOverflow(concat("this model's maximum context length is ", info_.n_ctx, " tokens, but the text has ", tokens.size(),
                                     "; shorten the text"),
                              "input");
}

std::shared_ptr<Evaluation> LocalEngine::start_embedding(EmbeddingRequest request) {
    if (!info_.pooling) return Engine::start_embedding(std::move(request));
    const Pooling how = request.pooling.value_or(*info_.pooling);
    if (how == Pooling::rank)
        throw InvalidInput("this model scores pairs of texts, as /v1/rerank does; for vectors choose --pooling mean, cls or last", "model");
    check_text(request.tokens);
    const auto n_tokens = static_cast<int64_t>(request.tokens.size());
    auto pool = [vector = TextVector(info_.n_embd, how), n_embd = info_.n_embd, n_tokens, take = std::move(request.take)](
                    int64_t first, std::span<const float> rows) mutable {
        vector.add(rows);
        if (first + static_cast<int64_t>(rows.size()) / n_embd == n_tokens) take(vector.result());
    };
    return start_reading({.sink = std::move(pool), .first_wanted = how == Pooling::last ? n_tokens - 1 : 0, .makes_vectors = true},
                         request.tokens, std::move(request.on_done), request.goes_on);
}

std::shared_ptr<Evaluation> LocalEngine::start_scoring(ScoringRequest request) {
    const ClassifierHead* head = model_->head();
    if (!head) return Engine::start_scoring(std::move(request));
    check_text(request.pair.tokens);
    auto score = [this, head, take = std::move(request.take)](int64_t first, std::span<const float> rows) {
        if (first != 0) return;
        std::vector<float> scores = head->scores(rows.first(static_cast<size_t>(info_.n_embd)));
        loop_->require_intact_files();  // the head is read from the file, too
        take(std::move(scores));
    };
    return start_reading({.sink = std::move(score), .second_begin = static_cast<int64_t>(request.pair.second_begin), .makes_vectors = true},
                         request.pair.tokens, std::move(request.on_done), request.goes_on);
}

std::shared_ptr<Evaluation> LocalEngine::start_reading(TextReading asked, const std::vector<TokenId>& tokens, std::function<void()> on_done,
                                                       bool goes_on) {
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    asked.in_one_chunk = !info_.generates;
    auto reading = std::make_shared<TextReading>(std::move(asked));
    std::vector<float> scales = default_scales();
    auto sequence = std::make_unique<Sequence>(Sequence{.channel = std::make_shared<OutputChannel>(std::move(on_done)),
                                                        .sampler = Sampler({}, {}),
                                                        .n_prompt = n_tokens,
                                                        .n_limit = n_tokens,
                                                        .reuse_prefix = false,
                                                        .cache_salt = adapters_.salt(scales, ""),
                                                        .adapter_scales = std::move(scales),
                                                        .submitted = Sequence::Clock::now()});
    sequence->tokens.reserve(tokens.size());
    for (const TokenId token : tokens) sequence->tokens.push_back(token.value);
    sequence->stats.n_prompt_tokens = n_tokens;
    sequence->reading = reading;
    auto evaluation = std::make_shared<LocalEvaluation>(sequence->channel, waker());
    inbox_->submit(std::move(sequence), goes_on);
    return evaluation;
}

}  // namespace quern
