#include "engine/scheduler.h"

#include <doctest/doctest.h>

#include <set>

#include "kernels/attention/attention.h"

using namespace quern;

namespace {

std::unique_ptr<Sequence> sequence_of(int64_t n_prompt) {
    auto sequence = std::make_unique<Sequence>(
        Sequence{.channel = std::make_shared<OutputChannel>(nullptr), .sampler = Sampler({}, {}), .n_prompt = n_prompt});
    sequence->tokens.resize(static_cast<size_t>(n_prompt));
    return sequence;
}

// What the engine does with a step: everything is computed, and each sequence that reached its end grows by a token.
void compute(const std::vector<Work>& step) {
    for (const Work& work : step) {
        work.sequence->n_cached += work.n_tokens;
        if (work.sequence->n_pending() == 0) work.sequence->tokens.push_back(0);
    }
}

int64_t total(const std::vector<Work>& step) {
    int64_t n = 0;
    for (const Work& work : step) n += work.n_tokens;
    return n;
}

}  // namespace

TEST_CASE("a long prompt is computed in portions of the batch") {
    PagePool pool(100);
    Scheduler scheduler(pool, {.n_batch = 100, .n_sequences = 4});
    scheduler.enqueue(sequence_of(250));
    std::vector<int64_t> portions;
    for (int i = 0; i < 4; ++i) {
        const auto step = scheduler.next_step();
        portions.push_back(total(step));
        compute(step);
    }
    CHECK(portions == std::vector<int64_t>{100, 100, 50, 1});
}

TEST_CASE("running answers go on while a prompt is read") {
    PagePool pool(100);
    Scheduler scheduler(pool, {.n_batch = 64, .n_sequences = 4});
    scheduler.enqueue(sequence_of(10));
    compute(scheduler.next_step());
    scheduler.enqueue(sequence_of(500));
    for (int i = 0; i < 5; ++i) {
        const auto step = scheduler.next_step();
        REQUIRE(step.size() == 2);
        CHECK(step[0].n_tokens == 1);
        CHECK(step[1].n_tokens == 63);
        compute(step);
    }
}

TEST_CASE("no more sequences run than allowed, and the others follow in order") {
    PagePool pool(100);
    Scheduler scheduler(pool, {.n_batch = 64, .n_sequences = 2});
    for (int64_t n = 1; n <= 4; ++n) scheduler.enqueue(sequence_of(n));
    auto step = scheduler.next_step();
    CHECK(step.size() == 2);
    CHECK(scheduler.n_waiting() == 2);
    Sequence* const first = step[0].sequence;
    compute(step);
    CHECK(scheduler.remove(first)->n_prompt == 1);
    step = scheduler.next_step();
    REQUIRE(step.size() == 2);
    CHECK(std::max(step[0].sequence->n_prompt, step[1].sequence->n_prompt) == 3);
}

TEST_CASE("pages are covered before they are used, and all come back") {
    PagePool pool(12);
    Scheduler scheduler(pool, {.n_batch = 64, .n_sequences = 4});
    for (int i = 0; i < 4; ++i) scheduler.enqueue(sequence_of(100));
    for (int i = 0; i < 400; ++i) {
        const auto step = scheduler.next_step();
        REQUIRE(!step.empty());
        std::set<int32_t> used;
        for (const Work& work : step) {
            CHECK(static_cast<int64_t>(work.sequence->page_table.size()) * kv_page_tokens >= work.sequence->n_cached + work.n_tokens);
            for (const int32_t page : work.sequence->page_table) CHECK(used.insert(page).second);
        }
        compute(step);
    }
    scheduler.take_all();
    CHECK(pool.n_free() == 12);
}

TEST_CASE("the oldest sequence always advances, however few pages there are") {
    PagePool pool(4);
    Scheduler scheduler(pool, {.n_batch = 64, .n_sequences = 3});
    auto oldest = sequence_of(60);
    const Sequence* const watched = oldest.get();
    scheduler.enqueue(std::move(oldest));
    scheduler.enqueue(sequence_of(60));
    scheduler.enqueue(sequence_of(60));
    size_t n_tokens = watched->tokens.size();
    for (int i = 0; i < 190; ++i) {
        compute(scheduler.next_step());
        CHECK(watched->tokens.size() > n_tokens);
        n_tokens = watched->tokens.size();
    }
}

TEST_CASE("a cancelled sequence leaves at once, running or waiting") {
    PagePool pool(10);
    Scheduler scheduler(pool, {.n_batch = 64, .n_sequences = 1});
    scheduler.enqueue(sequence_of(64));
    scheduler.enqueue(sequence_of(64));
    const auto step = scheduler.next_step();
    step.front().sequence->channel->cancel();
    CHECK(scheduler.take_cancelled().size() == 1);
    CHECK(pool.n_free() == 10);
    CHECK(scheduler.n_running() == 0);
    CHECK(scheduler.n_waiting() == 1);
}
