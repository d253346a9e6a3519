// The engine thread: takes submissions, runs steps, samples, and hands tokens to the consumers.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/local_engine.h"

namespace quern {
namespace {

using Seconds = std::chrono::duration<double>;

// While nobody waits for a token, prompts are computed so long at a time: requests that arrive or go away are seen that soon.
constexpr double prompt_slice_seconds = 0.05;

// A list of more sequences than these is made so seldom, for it is made between two steps.
constexpr int few_sequences = 64;
constexpr auto list_pause = std::chrono::milliseconds(200);

double milliseconds(Sequence::Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

void LocalEngine::serve() {
    while (take_submissions()) {
        try {
            step();
            require_intact_files();
        } catch (const std::exception& error) {  // of the engine itself: nobody can go on, but the service does
            fail_all(error.what());
        }
    }
    for (const auto& sequence : submitted_) sequence->channel->finish(FinishReason::cancelled, sequence->stats);
    for (const auto& sequence : scheduler_->take_all()) sequence->channel->finish(FinishReason::cancelled, sequence->stats);
}

// REQUIRES: an exception is being handled.
void LocalEngine::fail_all(const char* error) {
    log_error(concat("the engine failed: ", error));
    scheduler_->drop_chunk();
    for (const auto& sequence : scheduler_->take_all()) {
        if (sequence->reading) sequence->reading->error = std::current_exception();
        sequence->channel->finish(FinishReason::error, sequence->stats, error);
    }
    publish_stats();
}

// After each computation, before anything is made of its result: where the file has a hole, the weights were zeros.
void LocalEngine::require_intact_files() const {
    const std::string damage = failure();
    if (!damage.empty()) throw ModelError(damage);
}

// Waits until there is something to do. False when the engine is to stop.
bool LocalEngine::take_submissions() {
    std::deque<std::function<void()>> jobs;
    {
        std::unique_lock lock(mutex_);
        const auto idle = [&] { return submitted_.empty() && jobs_.empty() && !bell_->cancelled && !stopping_; };
        if (scheduler_->n_running() + scheduler_->n_waiting() == 0) bell_->rung.wait(lock, [&] { return !idle(); });
        if (stopping_) return false;
        if (std::exchange(bell_->cancelled, false)) has_cancelled_ = true;
        for (auto& sequence : submitted_) scheduler_->enqueue(std::move(sequence));
        submitted_.clear();
        stats_.n_waiting = scheduler_->n_waiting();  // what the length of the queue is judged by
        jobs.swap(jobs_);
    }
    for (const auto& job : jobs) job();
    return true;
}

// A step of all answers, then a part of the prompts: without answers a few layers after each other, else as much as their pace allows.
void LocalEngine::step() {
    if (has_cancelled_) {
        for (const auto& sequence : scheduler_->take_cancelled()) sequence->channel->finish(FinishReason::cancelled, sequence->stats);
        has_cancelled_ = !scheduler_->chunk().empty();  // those in it are looked at again
    }
    scheduler_->admit();
    propose_drafts();
    const std::vector<Work> answers = scheduler_->next_step();
    if (!answers.empty()) {
        try {
            run_answers(answers);
        } catch (const std::exception& error) {
            fail(answers, error);
        }
    }
    if (scheduler_->has_prompts()) {
        const auto n_answers = static_cast<int>(answers.size());
        for (StepTimes* times : {&times_, &reading_times_}) times->set_load(scheduler_->n_running() - n_answers, n_answers);
        try {
            advance_prompts(!answers.empty());
        } catch (const std::exception& error) {
            std::vector<Work> works(scheduler_->chunk().begin(), scheduler_->chunk().end());
            scheduler_->drop_chunk();
            fail(std::move(works), error);
        }
    }
    publish_stats();
}

// One bad step must not end the service: its requests fail, the others go on.
void LocalEngine::fail(std::vector<Work> works, const std::exception& error) {
    log_error(concat("a step failed: ", error.what()));
    for (const Work& each : works)
        if (scheduler_->runs(each.sequence)) finish(each.sequence, FinishReason::error, error.what());
}

// What goes wrong with one sequence's tokens ends that one.
template <typename Act>
void LocalEngine::for_one(Sequence* sequence, Act act) {
    try {
        act();
    } catch (const std::exception& error) {
        log_error(concat("a request failed: ", error.what()));
        if (scheduler_->runs(sequence)) finish(sequence, FinishReason::error, error.what());
    }
}

void LocalEngine::BatchMemory::clear() {
    tokens.clear();
    outputs.clear();
    sequences.clear();
    types.clear();
    adapter_scales.clear();
    output_kernels = TokenKernels::few;
}

// Adds a sequence's share. Where it reaches the end of the text, the logits of the last token and of the draft's are wanted; of a text that
// is only read, those of all tokens from some position on.
void LocalEngine::BatchMemory::add(const Work& work) {
    const Sequence& sequence = *work.sequence;
    sequences.push_back({.first_token = static_cast<int64_t>(tokens.size()),
                         .n_tokens = work.n_tokens,
                         .first_position = sequence.n_cached,
                         .page_table = sequence.pages.full(),
                         .window_page_table = sequence.pages.windows()});
    adapter_scales.insert(adapter_scales.end(), sequence.adapter_scales.begin(), sequence.adapter_scales.end());
    const int64_t n_text = std::min(work.n_tokens, sequence.n_pending());
    const auto first = sequence.tokens.begin() + sequence.n_cached;
    tokens.insert(tokens.end(), first, first + n_text);
    if (const Reading* reading = sequence.reading.get()) {
        output_kernels = TokenKernels::many;
        for (int64_t i = 0; i < n_text; ++i) types.push_back(sequence.n_cached + i >= reading->second_begin);
    }
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    for (int64_t row = n_tokens - sequence.n_outputs(n_text); row < n_tokens; ++row) outputs.push_back(static_cast<int32_t>(row));
    for (int64_t i = 0; i < work.n_tokens - n_text; ++i) {
        outputs.push_back(static_cast<int32_t>(tokens.size()));
        tokens.push_back(sequence.draft[static_cast<size_t>(i)]);
    }
}

void LocalEngine::propose_drafts() {
    if (!speculates()) return;
    std::vector<Sequence*> sequences;
    std::vector<int64_t> wanted;
    int n_answers = 0;
    scheduler_->for_each([&](Sequence& sequence, bool runs) { n_answers += runs && !sequence.in_prompt(); });
    const int64_t share = answers_->limits().n_tokens / std::max(1, n_answers) - 1;
    scheduler_->for_each([&](Sequence& sequence, bool runs) {
        sequence.draft.clear();
        if (!runs || sequence.in_prompt() || sequence.n_pending() != 1) return;
        const int64_t room = sequence.n_limit - static_cast<int64_t>(sequence.tokens.size()) - 1;
        const int64_t n = std::min({room, share, int64_t{sequence.draft_length}, int64_t{options_.n_draft}});
        if (n <= 0) return;
        if (!draft_model_) return look_up_draft(sequence.tokens, options_.draft_ngram, n, sequence.draft);
        sequences.push_back(&sequence);
        wanted.push_back(n);
    });
    if (draft_model_) draft_model_->propose(sequences, wanted);
}

void LocalEngine::run_answers(std::span<const Work> step) {
    const auto begin = Sequence::Clock::now();
    answers_batch_.clear();
    for (const Work& work : step) answers_batch_.add(work);
    const std::span<const float> logits = answers_->run(answers_batch_.batch(), *cache_);
    require_intact_files();
    ++totals_.n_steps;
    totals_.n_batched_tokens += static_cast<int64_t>(answers_batch_.tokens.size());
    const auto n_vocab = static_cast<size_t>(info_.n_vocab);
    size_t row = 0;
    for (const Work& work : step) {
        const int64_t n_text = std::min(work.n_tokens, work.sequence->n_pending());
        const bool reaches_end = n_text == work.sequence->n_pending();
        const auto n_rows = static_cast<size_t>(reaches_end ? work.n_tokens - n_text + 1 : 0);
        scheduler_->computed(*work.sequence, n_text);
        if (n_rows > 0) for_one(work.sequence, [&] { check_draft(work, logits.subspan(row * n_vocab, n_rows * n_vocab)); });
        row += n_rows;
    }
    const double seconds = Seconds(Sequence::Clock::now() - begin).count();
    times_.answers_took(seconds);
    reading_times_.answers_took(seconds);
    totals_.generation_seconds += seconds;
}

// Draws tokens as long as the draft had them right: each is drawn from the logits that it would be drawn from without a draft.
void LocalEngine::check_draft(const Work& work, std::span<const float> logits) {
    Sequence& sequence = *work.sequence;
    const auto n_vocab = static_cast<size_t>(info_.n_vocab);
    const std::vector<int32_t> draft = std::move(sequence.draft);
    sequence.draft.clear();
    const size_t n_draft = logits.size() / n_vocab - 1;
    sequence.stats.n_drafted_tokens += static_cast<int64_t>(n_draft);
    totals_.n_drafted_tokens += static_cast<int64_t>(n_draft);
    size_t n_right = 0;
    for (;; ++n_right) {
        if (sample(sequence, logits.subspan(n_right * n_vocab, n_vocab))) return;
        if (n_right == n_draft || sequence.tokens.back() != draft[n_right]) break;
        scheduler_->computed(sequence, 1);
        ++sequence.stats.n_accepted_tokens;
        ++totals_.n_accepted_tokens;
    }
    if (n_draft == 0) return;
    const int length = sequence.draft_length;
    sequence.draft_length = n_right == n_draft ? std::min(2 * length, options_.n_draft) : std::max(1, static_cast<int>(n_right + 1));
}

// Hands the next chunk to the executor. False when no prompt can go on now.
bool LocalEngine::begin_chunk(bool answers_wait) {
    const int64_t most = prompts_->limits().n_tokens;
    const std::span<const Work> chunk = answers_wait ? scheduler_->start_chunk(times_.chunk_tokens(most), reading_times_.chunk_tokens(most))
                                                     : scheduler_->start_chunk(most);
    if (chunk.empty()) return false;
    chunk_reading_ = chunk.front().sequence->reading;
    prompts_batch_.clear();
    for (const Work& work : chunk) prompts_batch_.add(work);
    chunk_executor().begin(prompts_batch_.batch(), *cache_);
    return true;
}

void LocalEngine::advance_prompts(bool answers_wait) {
    using Clock = Sequence::Clock;
    if (scheduler_->chunk().empty() && !begin_chunk(answers_wait)) return;
    Executor& executor = chunk_executor();
    StepTimes& times = chunk_times();
    const double time = answers_wait ? times.time_for_prompts() : prompt_slice_seconds;
    const auto n_tokens = static_cast<int64_t>(prompts_batch_.tokens.size());
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

void LocalEngine::finish_chunk() {
    const std::vector<Work> works(scheduler_->chunk().begin(), scheduler_->chunk().end());
    scheduler_->drop_chunk();
    ++totals_.n_steps;
    totals_.n_batched_tokens += static_cast<int64_t>(prompts_batch_.tokens.size());
    std::span<const float> logits = chunk_executor().logits();
    const size_t n_columns = prompts_batch_.outputs.empty() ? 0 : logits.size() / prompts_batch_.outputs.size();
    for (const Work& work : works) {
        Sequence& sequence = *work.sequence;
        const auto own = logits.first(static_cast<size_t>(sequence.n_outputs(work.n_tokens)) * n_columns);
        logits = logits.subspan(own.size());
        const int64_t first = sequence.n_cached;
        for_one(&sequence, [&] {
            scheduler_->computed(sequence, work.n_tokens);
            if (sequence.reading)
                hand_over(sequence, first, own);
            else if (sequence.n_pending() == 0)
                sample(sequence, own);
        });
    }
}

// A text that is only read has the logits of its tokens from position `first` on, as far as they are wanted.
void LocalEngine::hand_over(Sequence& sequence, int64_t first, std::span<const float> logits) {
    Reading& reading = *sequence.reading;
    if (!logits.empty()) reading.sink(std::max(first, reading.first_wanted), logits);
    reading.first_wanted = std::max(reading.first_wanted, sequence.n_cached);
    if (sequence.n_pending() == 0) finish(&sequence, FinishReason::stop);
}

// Draws the next token of a sequence that has logits, and ends the sequence where it must end: true then.
bool LocalEngine::sample(Sequence& sequence, std::span<const float> logits) {
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

void LocalEngine::finish(Sequence* sequence, FinishReason reason, std::string error) {
    const std::unique_ptr<Sequence> done = scheduler_->remove(sequence);
    if (done->reading && reason == FinishReason::error) done->reading->error = std::current_exception();
    done->channel->finish(reason, done->stats, std::move(error));
}

void LocalEngine::publish_stats() {
    EngineStats stats = totals_;
    stats.n_running = scheduler_->n_running();
    stats.n_waiting = scheduler_->n_waiting();
    stats.n_free_pages = prefixes_->n_available() + prefixes_->n_available_windows();
    stats.n_pages = pool_->n_pages() + (window_pool_ ? window_pool_->n_pages() : 0);
    stats.n_cached_pages = prefixes_->n_idle() + prefixes_->n_idle_windows();
    stats.n_evicted_pages = prefixes_->n_evicted();
    stats.n_preemptions = scheduler_->n_preemptions();
    const auto now = Sequence::Clock::now();
    const bool lists_anew = stats.n_running + stats.n_waiting <= few_sequences || now - listed_ >= list_pause;
    if (lists_anew) listed_ = now;
    const auto list = [&](const Sequence& sequence, bool runs) {
        using State = SequenceStats::State;
        stats.sequences.push_back({.id = sequence.id,
                                   .state = !runs                  ? State::waiting
                                            : sequence.in_prompt() ? State::prompt
                                                                   : State::generating,
                                   .n_prompt = sequence.n_prompt,
                                   .n_generated = sequence.n_generated(),
                                   .n_cached = sequence.stats.n_cached_tokens,
                                   .n_computed = sequence.n_cached,
                                   .n_limit = sequence.n_limit,
                                   .sampling = sequence.sampling});
    };
    if (lists_anew) scheduler_->for_each(list);
    const std::lock_guard lock(mutex_);
    if (!lists_anew) stats.sequences = std::move(stats_.sequences);
    stats.n_requests = stats_.n_requests;
    stats_ = std::move(stats);
}

}  // namespace quern
