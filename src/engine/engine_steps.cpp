// What the engine's thread computes: steps of answers, chunks of prompts, and what is made of their logits.
#include <algorithm>
#include <utility>

#include "engine/engine_loop.h"
#include "engine/failure.h"

namespace quern {
namespace {

using Seconds = std::chrono::duration<double>;

// While nobody waits for a token, prompts are computed so long at a time: requests that arrive or go away are seen that soon.
constexpr double prompt_slice_seconds = 0.05;

double milliseconds(Sequence::Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

// Answers need no guesses: where none can be made, those that run go on without.
void EngineLoop::propose_drafts() noexcept {
    if (!speculates()) return;
    try {
        guess_ahead();
    } catch (...) {
        log_failure("no tokens can be guessed ahead", std::current_exception());
        if (draft_model_) draft_model_->forget_all();
        scheduler_.for_each_running([](Sequence& sequence) {
            sequence.draft.clear();
            sequence.draft_length = 0;
        });
    }
}

void EngineLoop::guess_ahead() {
    std::vector<Sequence*> sequences;
    std::vector<int64_t> wanted;
    int n_answers = 0;
    scheduler_.for_each_running([&](const Sequence& sequence) { n_answers += !sequence.in_prompt(); });
    const int64_t share = answers_->limits().n_tokens / std::max(1, n_answers) - 1;
    scheduler_.for_each_running([&](Sequence& sequence) {
        sequence.draft.clear();
        if (sequence.in_prompt() || sequence.n_pending() != 1) return;
        const int64_t room = sequence.n_limit - static_cast<int64_t>(sequence.tokens.size()) - 1;
        const int64_t n = std::max<int64_t>(0, std::min({room, share, int64_t{sequence.draft_length}, int64_t{n_draft_}}));
        if (!draft_model_) {
            if (n > 0) look_up_draft(sequence.tokens, draft_ngram_, n, sequence.draft);
            return;
        }
        sequences.push_back(&sequence);
        wanted.push_back(n);
    });
    if (draft_model_) draft_model_->propose(sequences, wanted);
}

void EngineLoop::run_answers(std::span<const Work> step) {
    const auto begin = Sequence::Clock::now();
    answers_batch_.clear();
    for (const Work& work : step) answers_batch_.add(work);
    const std::span<const float> logits = answers_->run(answers_batch_.batch(), *cache_);
    require_intact_files();
    ++totals_.n_steps;
    totals_.n_batched_tokens += answers_batch_.n_tokens();
    size_t row = 0;
    for (const Work& work : step) {
        const int64_t n_text = std::min(work.n_tokens, work.sequence->n_pending());
        const bool reaches_end = n_text == work.sequence->n_pending();
        const auto n_rows = static_cast<size_t>(reaches_end ? work.n_tokens - n_text + 1 : 0);
        for_one(work.sequence, [&] {
            scheduler_.computed(*work.sequence, n_text);
            if (n_rows > 0) check_draft(work, logits.subspan(row * n_vocab_, n_rows * n_vocab_));
        });
        row += n_rows;
    }
    const double seconds = Seconds(Sequence::Clock::now() - begin).count();
    times_.answers_took(seconds);
    reading_times_.answers_took(seconds);
    totals_.generation_seconds += seconds;
}

// Draws tokens as long as the draft had them right: each is drawn from the logits that it would be drawn from without a draft.
void EngineLoop::check_draft(const Work& work, std::span<const float> logits) {
    Sequence& sequence = *work.sequence;
    const std::vector<int32_t> draft = std::move(sequence.draft);
    sequence.draft.clear();
    const size_t n_draft = logits.size() / n_vocab_ - 1;
    sequence.stats.n_drafted_tokens += static_cast<int64_t>(n_draft);
    totals_.n_drafted_tokens += static_cast<int64_t>(n_draft);
    size_t n_right = 0;
    for (;; ++n_right) {
        if (sample(sequence, logits.subspan(n_right * n_vocab_, n_vocab_))) return;
        if (n_right == n_draft || sequence.tokens.back() != draft[n_right]) break;
        scheduler_.computed(sequence, 1);
        ++sequence.stats.n_accepted_tokens;
        ++totals_.n_accepted_tokens;
    }
    if (n_draft == 0) return;
    const int length = sequence.draft_length;
    sequence.draft_length = n_right == n_draft ? std::min(2 * length, n_draft_) : std::max(1, static_cast<int>(n_right + 1));
}

// Hands the next chunk to the executor. False when no prompt can go on now.
bool EngineLoop::begin_chunk(bool answers_wait) {
    const int64_t most = prompts_->limits().n_tokens;
    const std::span<const Work> chunk =
        answers_wait ? scheduler_.start_chunk(times_.chunk_tokens(most), reading_times_.chunk_tokens(most)) : scheduler_.start_chunk(most);
    if (chunk.empty()) return false;
    chunk_reading_ = chunk.front().sequence->reading;
    prompts_batch_.clear();
    for (const Work& work : chunk) prompts_batch_.add(work);
    chunk_executor().begin(prompts_batch_.batch(), *cache_);
    return true;
}

void EngineLoop::advance_prompts(bool answers_wait) {
    using Clock = Sequence::Clock;
    if (scheduler_.chunk().empty() && !begin_chunk(answers_wait)) return;
    Executor& executor = chunk_executor();
    StepTimes& times = chunk_times();
    const double time = answers_wait ? times.time_for_prompts() : prompt_slice_seconds;
    const auto n_tokens = prompts_batch_.n_tokens();
    const auto begin = Clock::now();
    auto now = begin;
    const auto used = [&] { return Seconds(now - begin).count(); };
    bool more = true;
    do {
        const int64_t index = executor.n_done();
        const auto before = now;
        more = executor.advance();
        now = Clock::now();
        times.prompt_step_took(index, n_tokens, Seconds(now - before).count());
    } while (more && used() + times.expected(executor.n_done(), n_tokens) <= time);
    totals_.prompt_seconds += used();
    if (more) return;
    require_intact_files();
    finish_chunk();
}

void EngineLoop::finish_chunk() {
    std::span<const float> logits = chunk_executor().logits();
    const std::vector<Work> works = scheduler_.take_chunk();  // from here on each fails on its own
    ++totals_.n_steps;
    totals_.n_batched_tokens += prompts_batch_.n_tokens();
    const size_t n_columns = prompts_batch_.n_outputs() == 0 ? 0 : logits.size() / prompts_batch_.n_outputs();
    for (const Work& work : works) {
        Sequence& sequence = *work.sequence;
        const auto own = logits.first(static_cast<size_t>(sequence.n_outputs(work.n_tokens)) * n_columns);
        logits = logits.subspan(own.size());
        const int64_t first = sequence.n_computed;
        for_one(&sequence, [&] {
            scheduler_.computed(sequence, work.n_tokens);
            if (sequence.reading)
                hand_over(sequence, first, own);
            else if (sequence.n_pending() == 0)
                sample(sequence, own);
        });
    }
}

// A text that is only read has the logits of its tokens from position `first` on, as far as they are wanted.
void EngineLoop::hand_over(Sequence& sequence, int64_t first, std::span<const float> logits) {
    TextReading& reading = *sequence.reading;
    if (!logits.empty()) reading.sink(std::max(first, reading.first_wanted), logits);
    reading.first_wanted = std::max(reading.first_wanted, sequence.n_computed);
    if (sequence.n_pending() == 0) finish(&sequence, FinishReason::stop);
}

// Draws the next token of a sequence that has logits, and ends the sequence where it must end: true then.
bool EngineLoop::sample(Sequence& sequence, std::span<const float> logits) {
    const auto now = Sequence::Clock::now();
    if (sequence.n_generated() == 0) {
        sequence.first_token = now;
        sequence.stats.prompt_ms = milliseconds(now - sequence.started);
        totals_.n_prompt_tokens += sequence.n_prompt;
        totals_.n_cached_tokens += sequence.stats.n_cached_tokens;
    }
    sequence.stats.generation_ms = milliseconds(now - sequence.first_token);
    const auto end = [&](FinishReason reason) {
        finish(&sequence, reason);
        return true;
    };
    if (static_cast<int64_t>(sequence.tokens.size()) >= sequence.n_limit) return end(FinishReason::length);  // max_tokens 0
    const TokenId token = sequence.sampler.sample(logits);
    if (!sequence.ignore_end && tokenizer_->is_end_of_generation(token)) return end(FinishReason::stop);
    sequence.sampler.accept(token);
    sequence.tokens.push_back(token.value);
    sequence.stats.n_generated_tokens = sequence.n_generated();
    ++totals_.n_generated_tokens;
    OutputChannel::Event event{.token = token, .logprobs = {}};
    if (sequence.n_logprobs >= 0) event.logprobs = token_logprobs(logits, token, sequence.n_logprobs);
    sequence.channel->push(std::move(event), sequence.stats);
    return static_cast<int64_t>(sequence.tokens.size()) >= sequence.n_limit ? end(FinishReason::length) : false;
}

}  // namespace quern
