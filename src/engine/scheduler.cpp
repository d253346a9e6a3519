#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

// The oldest prompt gets this part of every chunk, however many short ones there are.
constexpr int64_t oldest_share = 4;

// Tokens of a page, those that were generated marked by their sign: other kernels compute them.
std::span<const int32_t> marked_page(const Sequence& sequence, int64_t page, std::vector<int32_t>& marked) {
    marked.resize(kv_page_tokens);
    for (int64_t i = 0; i < kv_page_tokens; ++i) {
        const int64_t position = page * kv_page_tokens + i;
        const int32_t token = sequence.tokens[static_cast<size_t>(position)];
        marked[static_cast<size_t>(i)] = position < sequence.n_prompt ? token : ~token;
    }
    return marked;
}

// The tokens of a page, which both have.
bool have_equal_page(const Sequence& a, const Sequence& b, int64_t page) {
    const auto begin = page * kv_page_tokens;
    return std::equal(a.tokens.begin() + begin, a.tokens.begin() + begin + kv_page_tokens, b.tokens.begin() + begin);
}

}  // namespace

Scheduler::Scheduler(PrefixCache& cache, SchedulerLimits limits) : cache_(cache), limits_(limits), key_tokens_(kv_page_tokens) {
    running_.reserve(static_cast<size_t>(limits.n_sequences));
}

void Scheduler::release_pages(Sequence& sequence) {
    try {
        sequence.pages.release_all(cache_);
    } catch (...) {
        is_sound_ = false;
        throw;
    }
    sequence.draft.clear();
    sequence.n_computed = sequence.n_prefix_pages = 0;
    sequence.prefix = 0;
}

bool Scheduler::runs(const Sequence* sequence) const noexcept {
    return std::any_of(running_.begin(), running_.end(), [&](const auto& each) { return each.get() == sequence; });
}

std::unique_ptr<Sequence> Scheduler::remove(Sequence* sequence) {
    QUERN_CHECK(!in_chunk(*sequence));
    const auto found = std::find_if(running_.begin(), running_.end(), [&](const auto& each) { return each.get() == sequence; });
    QUERN_CHECK(found != running_.end());
    std::unique_ptr<Sequence> taken = std::move(*found);
    running_.erase(found);
    release_pages(*taken);
    return taken;
}

bool Scheduler::in_chunk(const Sequence& sequence) const noexcept {
    return std::any_of(chunk_.begin(), chunk_.end(), [&](const Work& work) { return work.sequence == &sequence; });
}

bool Scheduler::preempt_youngest() {
    if (running_.empty()) return false;
    waiting_.push_front(std::move(running_.back()));  // where that throws, nothing has happened
    running_.pop_back();
    if (in_chunk(*waiting_.front())) drop_chunk();
    release_pages(*waiting_.front());
    ++n_preemptions_;
    return true;
}

// At least the last token is left to compute: its logits are wanted.
void Scheduler::find_prefix(Sequence& sequence) {
    if (!sequence.reuse_prefix) return;
    const auto n_tokens = static_cast<int64_t>(sequence.tokens.size());
    sequence.pages.reserve(n_tokens / kv_page_tokens);  // what follows takes no memory
    prefixes_.reserve(static_cast<size_t>(n_tokens / kv_page_tokens) + 1);
    prefixes_.assign(1, 0);  // by number of pages
    for (int64_t page = 0; (page + 1) * kv_page_tokens < n_tokens; ++page) {
        const auto found =
            cache_.find({.parent = prefixes_.back(), .tokens = marked_page(sequence, page, key_tokens_), .salt = sequence.cache_salt});
        if (!found) break;
        sequence.pages.append_found(*found);
        prefixes_.push_back(found->prefix);
    }
    sequence.n_prefix_pages = sequence.pages.keep_usable(cache_, limits_.window);
    sequence.prefix = prefixes_[static_cast<size_t>(sequence.n_prefix_pages)];
    sequence.n_computed = sequence.n_prefix_pages * kv_page_tokens;
}

// Full pages of prompt that both begin with, if the other has not computed them all yet; else 0. The first page that the other has not
// computed decides in most cases.
int64_t Scheduler::pages_to_await(const Sequence& sequence, const Sequence& other) {
    const int64_t n_full = std::min(sequence.n_prompt, other.n_prompt) / kv_page_tokens, n_there = other.n_computed / kv_page_tokens;
    ++n_compared_;
    if (n_there >= n_full || sequence.cache_salt != other.cache_salt) return 0;
    const auto is_equal = [&](int64_t page) {
        n_compared_ += kv_page_tokens;
        return have_equal_page(sequence, other, page);
    };
    if (!is_equal(n_there)) return 0;
    int64_t n_common = 0;
    while (n_common < n_full && (n_common == n_there || is_equal(n_common))) ++n_common;
    return n_common > n_there ? n_common : 0;
}

bool Scheduler::is_coming(const Sequence::Awaited& awaited) {
    if (awaited.id == 0) return false;
    ++n_compared_;
    return std::any_of(running_.begin(), running_.end(), [&](const auto& other) {
        return other->id == awaited.id && other->in_prompt() && !other->channel->cancelled() &&
               awaited.n_pages > other->n_computed / kv_page_tokens;
    });
}

// What a sequence waits for is kept: its prompt is compared again only when that is there, or will not come.
bool Scheduler::waits_for_another(Sequence& sequence) {
    if (!sequence.reuse_prefix || !cache_.is_enabled()) return false;
    if (is_coming(sequence.awaited)) return true;
    sequence.awaited = {};
    for (const auto& other : running_) {
        if (!other->in_prompt() || other->channel->cancelled()) continue;
        const int64_t n_pages = pages_to_await(sequence, *other);
        if (n_pages == 0) continue;
        sequence.awaited = {.id = other->id, .n_pages = n_pages};
        return true;
    }
    return false;
}

// A sequence starts when its whole prompt fits beside the others and each of those can still grow by a page; otherwise one that was
// preempted would come back at once and be preempted again. The first in line may always start when nothing runs.
bool Scheduler::start(Sequence& sequence) {
    find_prefix(sequence);
    const int64_t n_tokens = static_cast<int64_t>(sequence.tokens.size()) + (sequence.reading ? 0 : 1);
    const int64_t needed = pages_for(n_tokens) - sequence.n_prefix_pages;
    bool fits = needed + n_running() <= cache_.n_available();
    if (cache_.has_windows()) {
        const int64_t step_tokens = std::max(limits_.n_batch, limits_.n_generation);
        fits = fits && std::min(needed, most_window_pages(limits_.window, step_tokens)) + n_running() <= cache_.n_available_windows();
    }
    if (fits || running_.empty()) return true;
    release_pages(sequence);
    return false;
}

void Scheduler::admit() {
    const int64_t enough = n_compared_ + most_compared;
    for (auto next = waiting_.begin(); next != waiting_.end() && n_running() < limits_.n_sequences && n_compared_ < enough;) {
        if (waits_for_another(**next)) {
            ++next;
            continue;
        }
        Sequence& sequence = **next;
        if (!start(sequence)) return;
        if (!sequence.has_started) {
            sequence.has_started = true;
            sequence.started = Sequence::Clock::now();
            sequence.stats.queue_ms = std::chrono::duration<double, std::milli>(sequence.started - sequence.submitted).count();
            sequence.stats.n_cached_tokens = sequence.n_computed;
        }
        running_.push_back(std::move(*next));
        next = waiting_.erase(next);
    }
}

// Takes the pages that n_tokens more need.
bool Scheduler::cover(Sequence& sequence, int64_t n_tokens) { return sequence.pages.cover(cache_, sequence.n_computed + n_tokens); }

// Covers running_[index]; the younger ones make room, the youngest first.
bool Scheduler::make_room(size_t index, std::vector<Work>& step, int64_t n_tokens) {
    Sequence& sequence = *running_[index];
    bool covered = cover(sequence, n_tokens);
    while (!covered && running_.size() > index + 1) {
        const Sequence* victim = running_.back().get();
        std::erase_if(step, [&](const Work& work) { return work.sequence == victim; });
        preempt_youngest();
        covered = cover(sequence, n_tokens);
    }
    return covered;
}

std::vector<Work> Scheduler::next_step() {
    std::vector<Work> step;
    int64_t budget = limits_.n_generation, n_left = 0;
    for (const auto& each : running_) n_left += !each->in_prompt();
    for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
        Sequence& sequence = *running_[i];
        if (sequence.in_prompt()) continue;
        const int64_t most = budget - (--n_left < budget ? n_left : 0);  // a token for each of the others
        const int64_t n_tokens = std::min(most, sequence.n_pending() + static_cast<int64_t>(sequence.draft.size()));
        sequence.draft.resize(static_cast<size_t>(std::max<int64_t>(0, n_tokens - sequence.n_pending())));
        if (!make_room(i, step, n_tokens)) {
            QUERN_CHECK(i > 0);  // the pool holds one sequence of full length
            preempt_youngest();
            break;
        }
        step.push_back({&sequence, n_tokens});
        budget -= n_tokens;
    }
    return step;
}

void Scheduler::add_to_chunk(Sequence& sequence, int64_t n_tokens) {
    const auto known = std::find_if(chunk_.begin(), chunk_.end(), [&](const Work& work) { return work.sequence == &sequence; });
    const int64_t n_before = known == chunk_.end() ? 0 : known->n_tokens;
    if (sequence.reading) {
        int64_t rows = sequence.reading->makes_vectors ? limits_.n_batch : limits_.n_outputs;
        for (const Work& work : chunk_) rows -= work.sequence == &sequence ? 0 : work.sequence->n_outputs(work.n_tokens);
        const int64_t n_unwanted = std::max<int64_t>(0, sequence.reading->first_wanted - sequence.n_computed);
        n_tokens = std::min(n_tokens, n_unwanted + rows - n_before);
        if (sequence.reading->in_one_chunk && n_before + n_tokens < sequence.n_pending()) return;
    }
    if (n_tokens <= 0 || !cover(sequence, n_before + n_tokens)) return;
    if (known == chunk_.end())
        chunk_.push_back({&sequence, n_tokens});
    else
        known->n_tokens += n_tokens;
}

// Other kernels make the logits of texts that are read, and another graph makes vectors: these never share a chunk.
std::vector<Sequence*> Scheduler::prompts_in_turn() {
    constexpr int n_kinds = 3;
    std::vector<Sequence*> by_kind[n_kinds];
    for (const auto& each : running_)
        if (each->in_prompt()) by_kind[!each->reading ? 0 : each->reading->makes_vectors ? 2 : 1].push_back(each.get());
    for (int i = 1; i <= n_kinds; ++i) {
        const int kind = (last_kind_ + i) % n_kinds;
        if (by_kind[kind].empty()) continue;
        last_kind_ = kind;
        return std::move(by_kind[kind]);
    }
    return {};
}

// A part for the oldest prompt, then the shortest ones, so that a long prompt does not hold up short ones and is never starved.
std::span<const Work> Scheduler::start_chunk(int64_t most_tokens, int64_t most_read_tokens) {
    QUERN_CHECK(chunk_.empty());
    std::vector<Sequence*> prompts = prompts_in_turn();
    if (prompts.empty()) return {};
    const TextReading* reading = prompts.front()->reading.get();
    int64_t budget = std::min(reading ? most_read_tokens : most_tokens, limits_.n_batch);
    if (reading && reading->in_one_chunk) budget = limits_.n_batch;
    const auto left = [](const Sequence& sequence) { return sequence.n_prompt - sequence.n_computed; };
    Sequence& oldest = *prompts.front();
    const bool as_a_whole = reading && reading->in_one_chunk;
    const int64_t wanted = prompts.size() == 1 ? budget : (budget + oldest_share - 1) / oldest_share;
    const int64_t share = as_a_whole ? left(oldest) : std::min(left(oldest), wanted);
    add_to_chunk(oldest, share);
    std::stable_sort(prompts.begin(), prompts.end(), [&](const Sequence* a, const Sequence* b) { return left(*a) < left(*b); });
    budget -= share;
    for (Sequence* each : prompts) {
        const int64_t n_tokens = std::min(budget, left(*each) - (each == &oldest ? share : 0));
        add_to_chunk(*each, n_tokens);
        budget -= n_tokens;
    }
    if (!chunk_.empty()) return chunk_;
    // No page is left: the youngest gives way, unless answers will soon be done with theirs.
    const bool all_are_prompts = std::all_of(running_.begin(), running_.end(), [](const auto& each) { return each->in_prompt(); });
    if (all_are_prompts && running_.size() > 1) {
        preempt_youngest();
        return start_chunk(most_tokens, most_read_tokens);
    }
    return {};
}

void Scheduler::computed(Sequence& sequence, int64_t n_tokens) {
    sequence.n_computed += n_tokens;
    if (sequence.reading && sequence.reading->in_one_chunk) return;  // what looks in both directions is nobody's prefix
    for (; (sequence.n_prefix_pages + 1) * kv_page_tokens <= sequence.n_computed; ++sequence.n_prefix_pages) {
        const int64_t page = sequence.n_prefix_pages;
        const auto added =
            cache_.add({.parent = sequence.prefix, .tokens = marked_page(sequence, page, key_tokens_), .salt = sequence.cache_salt},
                       sequence.pages.full_page(page), sequence.pages.window_page(page));
        sequence.pages.replace(page, added);
        sequence.prefix = added.prefix;
    }
    sequence.pages.give_back_before(cache_, sequence.n_computed, limits_.window);
}

bool Scheduler::has_prompts() const noexcept {
    return std::any_of(running_.begin(), running_.end(), [](const auto& each) { return each->in_prompt(); });
}

}  // namespace quern
