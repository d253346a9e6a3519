#include "engine/scheduler.h"

#include <doctest/doctest.h>

#include <set>

#include "kernels/attention/attention.h"

using namespace quern;

namespace {

std::unique_ptr<Sequence> sequence_of(int64_t n_prompt) {
    auto sequence = std::make_unique<Sequence>(
        Sequence{.channel = std::make_shared<OutputChannel>(nullptr), .sampler = Sampler({}, {}), .n_prompt = n_prompt});
    static int32_t n_made = 0;  // no two begin alike
    sequence->tokens.assign(static_cast<size_t>(n_prompt), ++n_made);
    return sequence;
}

// What the engine does with a step or chunk: everything is computed, and each sequence that reached its end grows by a token.
void compute(Scheduler& scheduler, std::span<const Work> works) {
    const std::vector<Work> copy(works.begin(), works.end());
    if (!copy.empty() && copy.data() != works.data()) scheduler.drop_chunk();
    for (const Work& work : copy) {
        scheduler.computed(*work.sequence, work.n_tokens);
        if (work.sequence->n_pending() == 0) work.sequence->tokens.push_back(0);
    }
}

/// What one turn of the engine computes.
struct Turn {
    std::vector<Work> step, chunk;
};

Turn turn(Scheduler& scheduler, int64_t most_tokens = 1000) {
    Turn turn;
    scheduler.admit();
    turn.step = scheduler.next_step();
    compute(scheduler, turn.step);
    const auto chunk = scheduler.start_chunk(most_tokens);
    turn.chunk.assign(chunk.begin(), chunk.end());
    compute(scheduler, chunk);
    return turn;
}

int64_t total(std::span<const Work> step) {
    int64_t n = 0;
    for (const Work& work : step) n += work.n_tokens;
    return n;
}

}  // namespace

TEST_CASE("a long prompt is computed in portions of the batch") {
    PagePool pool(100);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 100, .n_sequences = 4});
    scheduler.enqueue(sequence_of(250));
    std::vector<int64_t> portions;
    for (int i = 0; i < 4; ++i) {
        const Turn each = turn(scheduler);
        portions.push_back(total(each.chunk) + total(each.step));
    }
    CHECK(portions == std::vector<int64_t>{100, 100, 50, 1});
}

TEST_CASE("running answers go on while a prompt is read") {
    PagePool pool(100);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 4});
    scheduler.enqueue(sequence_of(10));
    turn(scheduler);
    scheduler.enqueue(sequence_of(500));
    for (int i = 0; i < 5; ++i) {
        const Turn each = turn(scheduler, 40);
        REQUIRE(each.step.size() == 1);
        CHECK(each.step[0].n_tokens == 1);
        CHECK(total(each.chunk) == 40);
    }
}

TEST_CASE("prompts, texts read for logits and texts read for vectors take turns, and never share a chunk") {
    PagePool pool(100);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 8, .n_outputs = 16});
    const auto kind_of = [](const Sequence& sequence) { return !sequence.reading ? 'a' : sequence.reading->makes_vectors ? 'v' : 'l'; };
    for (int i = 0; i < 6; ++i) {
        auto sequence = sequence_of(300);
        if (i % 3 > 0) {
            sequence->reading = std::make_shared<TextReading>(TextReading{.sink = nullptr, .makes_vectors = i % 3 == 2});
            sequence->reuse_prefix = false;
        }
        scheduler.enqueue(std::move(sequence));
    }
    std::string kinds;
    for (int i = 0; i < 9; ++i) {
        scheduler.admit();
        const auto chunk = scheduler.start_chunk(64);
        REQUIRE(!chunk.empty());
        const char kind = kind_of(*chunk[0].sequence);
        for (const Work& work : chunk) CHECK(kind_of(*work.sequence) == kind);
        CHECK(total(chunk) == (kind == 'l' ? 16 : 64));  // each row of logits costs memory
        kinds += kind;
        compute(scheduler, chunk);
    }
    CHECK(kinds.substr(0, 3) == kinds.substr(3, 3));
    CHECK(kinds.substr(0, 3) == kinds.substr(6, 3));
    for (const char kind : {'a', 'l', 'v'}) CHECK(kinds.substr(0, 3).find(kind) != std::string::npos);
}

TEST_CASE("a short prompt does not wait for a long one, nor is the long one starved") {
    PagePool pool(100);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 100, .n_sequences = 4});
    scheduler.enqueue(sequence_of(2000));
    scheduler.enqueue(sequence_of(200));
    scheduler.enqueue(sequence_of(30));
    const Turn first = turn(scheduler);
    REQUIRE(first.chunk.size() == 3);
    CHECK(first.chunk[0].n_tokens == 25);
    CHECK(first.chunk[1].n_tokens == 30);
    CHECK(first.chunk[2].n_tokens == 45);
}

TEST_CASE("no more sequences run than allowed, and the others follow in order") {
    PagePool pool(100);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 2});
    for (int64_t n = 1; n <= 4; ++n) scheduler.enqueue(sequence_of(n));
    const Turn first = turn(scheduler);
    CHECK(first.chunk.size() == 2);
    CHECK(scheduler.n_waiting() == 2);
    CHECK(scheduler.remove(first.chunk[0].sequence)->n_prompt == 1);
    const Turn second = turn(scheduler);
    REQUIRE(second.chunk.size() == 1);
    CHECK(second.chunk[0].sequence->n_prompt == 3);
}

TEST_CASE("pages are covered before they are used, and all come back") {
    PagePool pool(12);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 4});
    for (int i = 0; i < 4; ++i) scheduler.enqueue(sequence_of(100));
    for (int i = 0; i < 400; ++i) {
        scheduler.admit();
        const std::vector<Work> step = scheduler.next_step();
        std::set<int32_t> used;
        const auto check = [&](std::span<const Work> works) {
            for (const Work& work : works) {
                const Sequence& sequence = *work.sequence;
                CHECK(sequence.pages.size() * kv_page_tokens >= sequence.n_computed + work.n_tokens);
                for (int64_t page = 0; page < sequence.pages.size(); ++page)
                    CHECK(used.insert(sequence.pages.full_page(page).value).second);
            }
        };
        check(step);
        compute(scheduler, step);
        const auto chunk = scheduler.start_chunk(64);
        REQUIRE(step.size() + chunk.size() > 0);
        check(chunk);
        compute(scheduler, chunk);
    }
    CHECK(scheduler.n_preemptions() > 0);
    int n_left = 0;
    scheduler.drop_all([&](const Sequence&) { ++n_left; });
    CHECK(n_left == 4);
    CHECK(scheduler.n_running() + scheduler.n_waiting() == 0);
    CHECK(prefixes.n_available() == 12);
    prefixes.clear();
    CHECK(pool.n_free() == 12);
}

TEST_CASE("the oldest sequence always advances, however few pages there are") {
    PagePool pool(4);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 3});
    auto oldest = sequence_of(60);
    const Sequence* const watched = oldest.get();
    scheduler.enqueue(std::move(oldest));
    scheduler.enqueue(sequence_of(60));
    scheduler.enqueue(sequence_of(60));
    size_t n_tokens = watched->tokens.size();
    for (int i = 0; i < 190; ++i) {
        turn(scheduler);
        CHECK(watched->tokens.size() > n_tokens);
        n_tokens = watched->tokens.size();
    }
}

TEST_CASE("equal prompts that come together are computed once") {
    PagePool pool(40);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 100, .n_sequences = 4});
    for (int i = 0; i < 3; ++i) {
        auto sequence = sequence_of(300);
        sequence->tokens.assign(300, 7);
        scheduler.enqueue(std::move(sequence));
    }
    int64_t n_computed = 0;
    for (int i = 0; i < 6; ++i) n_computed += total(turn(scheduler).chunk);
    CHECK(n_computed == 300 + 2 * (300 - 4 * 64));
    CHECK(scheduler.n_running() == 3);
}

TEST_CASE("a preempted sequence finds its pages again if nobody took them") {
    PagePool pool(40);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 512, .n_sequences = 4});
    scheduler.enqueue(sequence_of(100));
    for (int i = 0; i < 100; ++i) turn(scheduler);
    REQUIRE(scheduler.preempt_youngest());
    const Turn again = turn(scheduler);
    REQUIRE(again.step.size() == 1);
    CHECK(again.step[0].n_tokens <= 64);  // 199 tokens, of which three pages of 64 were there
}

TEST_CASE("a cancelled sequence leaves at once, running or waiting, and in the chunk unless others share it") {
    PagePool pool(10);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 2});
    scheduler.enqueue(sequence_of(20));
    scheduler.enqueue(sequence_of(20));
    scheduler.admit();
    auto chunk = scheduler.start_chunk(64);
    REQUIRE(chunk.size() == 2);
    const auto n_dropped = [&] {
        int n = 0;
        scheduler.drop_cancelled([&](const Sequence& sequence) { n += sequence.channel->cancelled(); });
        return n;
    };
    chunk[1].sequence->channel->cancel();
    CHECK(n_dropped() == 0);
    chunk[0].sequence->channel->cancel();
    CHECK(n_dropped() == 2);
    CHECK(scheduler.chunk().empty());
    CHECK(pool.n_free() == 10);
    scheduler.enqueue(sequence_of(64));
    scheduler.for_each([](const Sequence& sequence, bool) { sequence.channel->cancel(); });
    CHECK(n_dropped() == 1);
    CHECK(scheduler.n_waiting() == 0);
}

TEST_CASE("a thousand who wait for the pages of one prompt cost little at each turn, and let nobody else wait") {
    constexpr int64_t n_common = 40 * kv_page_tokens, n_waiters = 1000;
    PagePool pool(400);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 4});
    uint64_t last_id = 0;
    const auto enqueue = [&](std::unique_ptr<Sequence> sequence) {
        sequence->id = ++last_id;
        scheduler.enqueue(std::move(sequence));
    };
    for (int64_t i = 0; i <= n_waiters; ++i) {
        auto sequence = sequence_of(n_common + 10);
        std::fill_n(sequence->tokens.begin(), n_common, 7);
        enqueue(std::move(sequence));
    }
    enqueue(sequence_of(2000));
    const auto other_runs = [&] {
        bool runs = false;
        scheduler.for_each([&](const Sequence& sequence, bool is_running) { runs |= is_running && sequence.id == last_id; });
        return runs;
    };
    std::vector<int64_t> costs;
    int64_t n_before = 0;
    while (scheduler.n_running() < 4) {
        turn(scheduler, 64);
        costs.push_back(scheduler.n_compared() - n_before);
        n_before = scheduler.n_compared();
        REQUIRE(costs.size() < 200);
        if (costs.size() > 5) REQUIRE(other_runs());
    }
    for (const int64_t cost : costs) CHECK(cost <= Scheduler::most_compared + 4 * n_common);
    CHECK(costs.size() > 40);                                                        // the other prompt is computed beside this one
    for (size_t i = 5; i + 1 < costs.size(); ++i) CHECK(costs[i] <= 2 * n_waiters);  // each looks whether its pages are there, no more
    std::vector<uint64_t> running;
    scheduler.for_each([&](const Sequence& sequence, bool runs) {
        if (!runs) return;
        running.push_back(sequence.id);
        if (sequence.id != 1 && sequence.id != last_id) CHECK(sequence.n_computed >= n_common);
    });
    CHECK(running == std::vector<uint64_t>{1, last_id, 2, 3});
}

TEST_CASE("who waits for a prompt that is cancelled, or gives way, is started in its place") {
    PagePool pool(40);
    PrefixCache prefixes(pool, true);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 2});
    for (uint64_t id = 1; id <= 3; ++id) {
        auto sequence = sequence_of(300);
        sequence->tokens.assign(300, 7);
        sequence->id = id;
        scheduler.enqueue(std::move(sequence));
    }
    turn(scheduler, 64);
    CHECK(scheduler.n_running() == 1);
    scheduler.for_each([](const Sequence& sequence, bool runs) {
        if (runs) sequence.channel->cancel();
    });
    scheduler.drop_cancelled([](const Sequence& sequence) { CHECK(sequence.id == 1); });
    scheduler.admit();
    CHECK(scheduler.n_running() == 1);
    REQUIRE(scheduler.preempt_youngest());
    turn(scheduler, 64);
    scheduler.for_each([](const Sequence& sequence, bool runs) { CHECK(runs == (sequence.id == 2)); });
}

TEST_CASE("without a prefix cache nobody waits for another's pages") {
    PagePool pool(40);
    PrefixCache prefixes(pool, false);
    Scheduler scheduler(prefixes, {.n_batch = 64, .n_sequences = 3});
    for (int i = 0; i < 3; ++i) {
        auto sequence = sequence_of(300);
        sequence->tokens.assign(300, 7);
        scheduler.enqueue(std::move(sequence));
    }
    scheduler.admit();
    CHECK(scheduler.n_running() == 3);
}
