// The engine thread: takes submissions, runs steps, samples, and hands tokens to the consumers.
#include <algorithm>

#include "base/log.h"
#include "engine/local_engine.h"

namespace quern {
namespace {

double milliseconds(Sequence::Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

void LocalEngine::serve() {
    while (take_submissions()) step();
    for (const auto& sequence : submitted_) sequence->channel->finish(FinishReason::cancelled, sequence->stats);
    for (const auto& sequence : scheduler_->take_all()) sequence->channel->finish(FinishReason::cancelled, sequence->stats);
}

// Waits until there is something to do. False when the engine is to stop.
bool LocalEngine::take_submissions() {
    std::deque<std::function<void()>> jobs;
    {
        std::unique_lock lock(mutex_);
        const auto idle = [&] { return submitted_.empty() && jobs_.empty() && !cancelled_ && !stopping_; };
        if (scheduler_->n_running() + scheduler_->n_waiting() == 0) work_arrived_.wait(lock, [&] { return !idle(); });
        if (stopping_) return false;
        cancelled_ = false;
        for (auto& sequence : submitted_) scheduler_->enqueue(std::move(sequence));
        submitted_.clear();
        jobs.swap(jobs_);
    }
    for (const auto& job : jobs) job();
    return true;
}

void LocalEngine::step() {
    for (const auto& sequence : scheduler_->take_cancelled()) sequence->channel->finish(FinishReason::cancelled, sequence->stats);
    const std::vector<Work> work = scheduler_->next_step();
    if (!work.empty()) {
        try {
            run_step(work);
        } catch (const std::exception& error) {  // one bad step must not end the service: its requests fail, the others go on
            log_error(concat("a step failed: ", error.what()));
            for (const Work& each : work) finish(each.sequence, FinishReason::error, error.what());
        }
    }
    publish_stats();
}

void LocalEngine::run_step(std::span<const Work> step) {
    batch_tokens_.clear();
    batch_sequences_.clear();
    batch_outputs_.clear();
    output_owners_.clear();
    const auto now = Sequence::Clock::now();
    for (const Work& work : step) {
        Sequence& sequence = *work.sequence;
        if (!sequence.has_started) {
            sequence.has_started = true;
            sequence.started = now;
            sequence.stats.queue_ms = milliseconds(now - sequence.submitted);
        }
        batch_sequences_.push_back({.first_token = static_cast<int64_t>(batch_tokens_.size()),
                                    .n_tokens = work.n_tokens,
                                    .first_position = sequence.n_cached,
                                    .page_table = sequence.page_table.data()});
        const auto first = sequence.tokens.begin() + sequence.n_cached;
        batch_tokens_.insert(batch_tokens_.end(), first, first + work.n_tokens);
        sequence.n_cached += work.n_tokens;
        if (sequence.n_pending() > 0) continue;
        batch_outputs_.push_back(static_cast<int32_t>(batch_tokens_.size()) - 1);
        output_owners_.push_back(&sequence);
    }
    const std::span<const float> logits =
        executor_->run({.tokens = batch_tokens_, .sequences = batch_sequences_, .outputs = batch_outputs_}, *cache_);
    ++n_steps_;
    n_batched_tokens_ += static_cast<int64_t>(batch_tokens_.size());
    const auto n_vocab = static_cast<size_t>(info_.n_vocab);
    for (size_t i = 0; i < output_owners_.size(); ++i) sample(*output_owners_[i], logits.subspan(i * n_vocab, n_vocab));
}

// Draws the next token of a sequence that has logits, and ends the sequence where it must end.
void LocalEngine::sample(Sequence& sequence, std::span<const float> logits) {
    const auto now = Sequence::Clock::now();
    if (sequence.n_generated() == 0) {
        sequence.first_token = now;
        sequence.stats.prompt_ms = milliseconds(now - sequence.started);
    }
    sequence.stats.generation_ms = milliseconds(now - sequence.first_token);
    if (static_cast<int64_t>(sequence.tokens.size()) >= sequence.n_limit) return finish(&sequence, FinishReason::length);  // max_tokens 0
    const TokenId token = sequence.sampler.sample(logits);
    if (!sequence.ignore_end && tokenizer_->is_end_of_generation(token)) return finish(&sequence, FinishReason::stop);
    sequence.sampler.accept(token);
    sequence.tokens.push_back(token.value);
    sequence.stats.n_generated_tokens = sequence.n_generated();
    OutputChannel::Event event{.token = token, .logprobs = {}};
    if (sequence.n_logprobs >= 0) event.logprobs = token_logprobs(logits, token, sequence.n_logprobs);
    sequence.channel->push(std::move(event), sequence.stats);
    if (static_cast<int64_t>(sequence.tokens.size()) >= sequence.n_limit) finish(&sequence, FinishReason::length);
}

void LocalEngine::finish(Sequence* sequence, FinishReason reason, std::string error) {
    const std::unique_ptr<Sequence> done = scheduler_->remove(sequence);
    done->channel->finish(reason, done->stats, std::move(error));
}

// Runs tokens through the model on pages of its own; running sequences make room if they must and are computed anew later.
void LocalEngine::evaluate_now(std::span<const TokenId> tokens, int64_t first_wanted, const LogitsSink& sink) {
    std::vector<int32_t> pages;
    const auto give_back = [&] {
        for (const int32_t page : pages) pool_->drop({page});
    };
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    while (static_cast<int64_t>(pages.size()) * kv_page_tokens < n_tokens) {
        if (const auto page = pool_->take()) {
            pages.push_back(page->value);
        } else if (!scheduler_->preempt_youngest()) {
            give_back();
            throw DeviceError("the KV cache has no room to evaluate this text");
        }
    }
    try {
        const BatchLimits& limits = executor_->limits();
        for (int64_t at = 0; at < n_tokens;) {
            const int64_t n_before = std::clamp<int64_t>(first_wanted - at, 0, limits.n_tokens);
            const int64_t n_wanted = std::min({limits.n_tokens - n_before, limits.n_outputs, n_tokens - at - n_before});
            const int64_t n = n_before + n_wanted;
            batch_tokens_.clear();
            batch_outputs_.clear();
            for (int64_t i = 0; i < n; ++i) batch_tokens_.push_back(tokens[static_cast<size_t>(at + i)].value);
            for (int64_t i = n_before; i < n; ++i) batch_outputs_.push_back(static_cast<int32_t>(i));
            const SequenceSpan sequence{.n_tokens = n, .first_position = at, .page_table = pages.data()};
            const auto logits = executor_->run({.tokens = batch_tokens_, .sequences = {&sequence, 1}, .outputs = batch_outputs_}, *cache_);
            if (n_wanted > 0) sink(at + n_before, logits);
            at += n;
        }
    } catch (...) {
        give_back();
        throw;
    }
    give_back();
}

void LocalEngine::publish_stats() {
    const std::lock_guard lock(mutex_);
    stats_ = {.n_running = scheduler_->n_running(),
              .n_waiting = scheduler_->n_waiting(),
              .n_free_pages = pool_->n_free(),
              .n_pages = pool_->n_pages(),
              .n_steps = n_steps_,
              .n_batched_tokens = n_batched_tokens_};
}

}  // namespace quern
