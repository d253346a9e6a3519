#include "engine/engine_loop.h"

#include <utility>

#include "base/error.h"
#include "engine/failure.h"

namespace quern {
namespace {

// A list of more sequences than these is made so seldom, for it is made between two steps.
constexpr int few_sequences = 64;
constexpr auto list_pause = std::chrono::milliseconds(200);

SequenceStats stats_of(const Sequence& sequence, bool runs) {
    using State = SequenceStats::State;
    return {.id = sequence.id,
            .state = !runs                  ? State::waiting
                     : sequence.in_prompt() ? State::prompt
                                            : State::generating,
            .n_prompt = sequence.n_prompt,
            .n_generated = sequence.n_generated(),
            .n_cached = sequence.stats.n_cached_tokens,
            .n_computed = sequence.n_computed,
            .n_limit = sequence.n_limit,
            .sampling = sequence.sampling};
}

}  // namespace

EngineLoop::EngineLoop(EngineParts parts, std::shared_ptr<EngineInbox> inbox)
    : inbox_(std::move(inbox)),
      file_(std::move(parts.file)),
      tokenizer_(std::move(parts.tokenizer)),
      prompts_(std::move(parts.prompts)),
      answers_(std::move(parts.answers)),
      vectors_(std::move(parts.vectors)),
      cache_(std::move(parts.cache)),
      draft_model_(std::move(parts.draft_model)),
      draft_ngram_(parts.draft_ngram),
      n_draft_(parts.n_draft),
      n_vocab_(static_cast<size_t>(parts.n_vocab)),
      pool_(parts.n_pages),
      window_pool_(parts.n_window_pages),
      prefixes_(parts.window > 0 ? PrefixCache(pool_, window_pool_, parts.keeps_prefixes) : PrefixCache(pool_, parts.keeps_prefixes)),
      scheduler_(prefixes_, {.n_batch = prompts_->limits().n_tokens,
                             .n_generation = answers_->limits().n_tokens,
                             .n_sequences = parts.n_sequences,
                             .window = parts.window,
                             .n_outputs = prompts_->limits().n_outputs}) {
    publish_stats();
}

std::string EngineLoop::damage() const {
    std::string damage = file_->damage();
    return damage.empty() && draft_model_ ? draft_model_->file().damage() : damage;
}

// After each computation, before anything is made of its result: where the file has a hole, the weights were zeros.
void EngineLoop::require_intact_files() const {
    const std::string found = damage();
    if (!found.empty()) throw ModelError(found);
}

void EngineLoop::observe(const LinearObserver& observer) {
    prompts_->observe(observer);
    answers_->observe(observer);
}

void EngineLoop::run() noexcept {
    while (take_mail()) {
        try {
            if (!broken_) take_turn();
        } catch (...) {  // of the engine itself: nobody can go on, but the service does
            log_failure("the engine failed", std::current_exception());
            finish_all(FinishReason::error, std::current_exception());
        }
        publish_stats();
    }
    for (const auto& sequence : mail_.sequences) tell(*sequence, FinishReason::cancelled);
    mail_ = {};  // whoever waits for a job learns that it will not be done
    finish_all(FinishReason::cancelled);
}

// Waits until there is something to do. False when the engine is to stop.
bool EngineLoop::take_mail() noexcept {
    inbox_->take(mail_, broken_ || scheduler_.n_running() + scheduler_.n_waiting() == 0);
    if (mail_.stops) return false;
    has_cancelled_ |= mail_.has_cancelled;
    for (auto& sequence : mail_.sequences) let_in(sequence);
    mail_.sequences.clear();
    for (auto& job : mail_.jobs) job();  // what it throws goes to whom waits for it
    mail_.jobs.clear();
    return true;
}

void EngineLoop::let_in(std::unique_ptr<Sequence>& sequence) noexcept {
    if (broken_) return tell(*sequence, FinishReason::error, broken_);
    try {
        scheduler_.enqueue(std::move(sequence));
    } catch (...) {
        tell(*sequence, FinishReason::error, std::current_exception());  // enqueue() has not taken it
    }
}

// A step of all answers, then a part of the prompts: without answers a few layers after each other, else as much as their pace allows.
void EngineLoop::take_turn() {
    if (has_cancelled_) {
        scheduler_.drop_cancelled([this](Sequence& sequence) { tell(sequence, FinishReason::cancelled); });
        has_cancelled_ = !scheduler_.chunk().empty();  // those in it are looked at again
    }
    scheduler_.admit();
    propose_drafts();
    const std::vector<Work> answers = scheduler_.next_step();
    if (!answers.empty()) {
        try {
            run_answers(answers);
        } catch (...) {
            fail("a step failed", answers, std::current_exception());
        }
    }
    if (scheduler_.has_prompts()) {
        const auto n_answers = static_cast<int>(answers.size());
        for (StepTimes* times : {&times_, &reading_times_}) times->set_load(scheduler_.n_running() - n_answers, n_answers);
        try {
            advance_prompts(!answers.empty());
        } catch (...) {
            const std::vector<Work> chunk = scheduler_.take_chunk();
            if (chunk.empty()) throw;  // of no prompt in particular
            fail("a step failed", chunk, std::current_exception());
        }
    }
    require_intact_files();
}

// The consumer may go from now on. `error` says why, for FinishReason::error.
void EngineLoop::tell(Sequence& sequence, FinishReason reason, const std::exception_ptr& error) noexcept {
    inbox_->ends_one();  // first: whoever hears of the end may ask again at once
    sequence.channel->finish(reason, sequence.stats, error);
}

void EngineLoop::finish(Sequence* sequence, FinishReason reason, const std::exception_ptr& error) noexcept {
    if (broken_) return;  // all have been told
    tell(*sequence, reason, error);
    try {
        scheduler_.remove(sequence);
    } catch (...) {
        give_up(std::current_exception());
    }
}

void EngineLoop::finish_all(FinishReason reason, const std::exception_ptr& error) noexcept {
    if (broken_) return;
    if (!scheduler_.is_sound()) return give_up(error);
    try {
        scheduler_.drop_all([&](Sequence& sequence) { tell(sequence, reason, error); });
    } catch (...) {
        give_up(std::current_exception());
    }
}

// One bad step must not end the service: its requests fail, the others go on.
void EngineLoop::fail(const char* what, std::span<const Work> works, const std::exception_ptr& error) noexcept {
    log_failure(what, error);
    if (!scheduler_.is_sound()) return give_up(error);
    for (const Work& each : works)
        if (scheduler_.runs(each.sequence)) finish(each.sequence, FinishReason::error, error);
}

// Pages may have two owners now, and texts the keys and values of others: no answer can be trusted.
void EngineLoop::give_up(const std::exception_ptr& error) noexcept {
    if (std::exchange(broken_, error)) return;
    log_failure("the engine has lost count of its pages and must be loaded anew", broken_);
    inbox_->set_failure(text_of(broken_));
    scheduler_.for_each([this](Sequence& sequence, bool) { tell(sequence, FinishReason::error, broken_); });
}

void EngineLoop::publish_stats() noexcept {
    EngineStats stats = totals_;  // without a list: takes no memory
    if (!broken_) {
        stats.n_running = scheduler_.n_running();
        stats.n_waiting = scheduler_.n_waiting();
    }
    stats.pages = {
        .n = pool_.n_pages(), .n_free = prefixes_.n_available(), .n_cached = prefixes_.n_idle(), .n_evicted = prefixes_.n_evicted()};
    stats.window_pages = {.n = window_pool_.n_pages(),
                          .n_free = prefixes_.n_available_windows(),
                          .n_cached = prefixes_.n_idle_windows(),
                          .n_evicted = prefixes_.n_evicted_windows()};
    stats.n_preemptions = scheduler_.n_preemptions();
    const auto now = Sequence::Clock::now();
    bool lists_anew = broken_ || stats.n_running + stats.n_waiting <= few_sequences || now - listed_ >= list_pause;
    try {
        if (lists_anew && !broken_)
            scheduler_.for_each([&](const Sequence& sequence, bool runs) { stats.sequences.push_back(stats_of(sequence, runs)); });
    } catch (const std::bad_alloc&) {
        lists_anew = false;
    }
    if (lists_anew) listed_ = now;
    inbox_->publish(std::move(stats), !lists_anew);
}

}  // namespace quern
