// Texts that are only read, beside each other and beside answers; and what outlives its engine.
#include <atomic>
#include <mutex>

#include "engine/tiny_engine_test.h"

using namespace quern;

namespace {

/// The rows that a reading hands over.
struct Rows {
    int64_t first_wanted = 0;
    std::vector<int64_t> positions;
    std::vector<float> logits;

    EvaluationRequest reading(const std::string& text, int64_t n_vocab) {
        return {.tokens = prompt_of(text),
                .first_wanted = first_wanted,
                .sink =
                    [this, n_vocab](int64_t position, std::span<const float> more) {
                        for (size_t i = 0; i < more.size() / static_cast<size_t>(n_vocab); ++i)
                            positions.push_back(position + static_cast<int64_t>(i));
                        logits.insert(logits.end(), more.begin(), more.end());
                    },
                .on_done = {}};
    }

    /// Every position once, in order.
    bool is_complete(size_t n_tokens) const {
        if (positions.size() != n_tokens - static_cast<size_t>(first_wanted)) return false;
        for (size_t i = 0; i < positions.size(); ++i)
            if (positions[i] != first_wanted + static_cast<int64_t>(i)) return false;
        return true;
    }
};

std::string text_of(char letter, size_t n) { return std::string(n, letter); }

/// Options for six pages.
EngineOptions tight_options(const TemporaryModel& model) {
    EngineOptions options = options_for(model);
    options.n_ctx = 256;
    options.kv_bytes = 6 * 2 * 2 * 2 * 8 * 64 * 2;
    return options;
}

template <typename Condition>
bool comes_true(const Condition& condition) {
    for (int i = 0; i < 5000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

/// Keeps the engine's thread in a sink until it may go on.
struct Gate {
    std::atomic<bool> is_reached{false}, may_go_on{false};
    void wait() {
        is_reached = true;
        while (!may_go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
};

}  // namespace

TEST_CASE("answers and readings outlive their engine, and are told of its end") {
    const TemporaryModel model({.n_ctx = 4096});
    EngineOptions options = options_for(model);
    options.n_sequences = 2;
    auto engine = Engine::load(options);
    const int64_t n_vocab = engine->info().n_vocab;
    Rows running, waiting;
    Gate gate;
    EvaluationRequest first = running.reading(text_of('r', 300), n_vocab);
    first.sink = [&](int64_t, std::span<const float>) { gate.wait(); };
    std::atomic<int> n_told{0};
    first.on_done = [&] { ++n_told; };
    auto reading = engine->start_evaluation(std::move(first));
    REQUIRE(comes_true([&] { return gate.is_reached.load(); }));
    auto answer = engine->submit(greedy("hello", 4000)), dropped = engine->submit(greedy("world", 4000));
    auto queued = engine->start_evaluation(waiting.reading(text_of('w', 100), n_vocab));
    std::thread end([&] { engine.reset(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    gate.may_go_on = true;
    end.join();
    CHECK(n_told == 1);
    CHECK(reading->is_done());
    CHECK_THROWS_AS(reading->wait(), EngineBusy);
    CHECK_THROWS_AS(queued->wait(), EngineBusy);
    CHECK(waiting.positions.empty());
    CHECK(collect(*answer).reason == FinishReason::cancelled);
    answer->cancel();  // harmless, as is dropping one that was never read from
    dropped.reset();
    queued.reset();
}

TEST_CASE("a short answer does not wait for long readings, nor a short reading for long answers") {
    const TemporaryModel model({.n_ctx = 4096});
    const auto engine = Engine::load(options_for(model));
    const int64_t n_vocab = engine->info().n_vocab;
    Rows long_rows, short_rows;
    Gate gate;
    EvaluationRequest slow = long_rows.reading(text_of('l', 4000), n_vocab);
    slow.sink = [&gate, sink = slow.sink](int64_t position, std::span<const float> rows) {
        if (position == 0) gate.wait();  // so that the others are there when it goes on
        sink(position, rows);
    };
    const auto long_reading = engine->start_evaluation(std::move(slow));
    REQUIRE(comes_true([&] { return gate.is_reached.load(); }));
    const auto answer = engine->submit(greedy("hello", 3));
    const auto long_answer = engine->submit(greedy("world", 4000));
    const auto short_reading = engine->start_evaluation(short_rows.reading("short", n_vocab));
    gate.may_go_on = true;
    CHECK(collect(*answer).tokens.size() == 3);
    short_reading->wait();
    CHECK(short_rows.is_complete(6));
    CHECK(!long_reading->is_done());
    long_answer->cancel();
    long_reading->wait();
    CHECK(long_rows.is_complete(4001));
    wait_until_idle(*engine);
}

TEST_CASE("a reading that is dropped, running or waiting, gives its pages back and is not read to its end") {
    const TemporaryModel model({.n_ctx = 4096});
    EngineOptions options = options_for(model);
    options.n_sequences = 1;
    const auto engine = Engine::load(options);
    const int64_t n_vocab = engine->info().n_vocab;
    Rows running, waiting, last;
    Gate gate;
    EvaluationRequest first = running.reading(text_of('r', 4000), n_vocab);
    first.sink = [&gate, sink = first.sink](int64_t position, std::span<const float> rows) {
        gate.wait();
        sink(position, rows);
    };
    auto reading = engine->start_evaluation(std::move(first));
    auto queued = engine->start_evaluation(waiting.reading(text_of('w', 100), n_vocab));
    REQUIRE(comes_true([&] { return gate.is_reached.load(); }));
    queued.reset();
    reading.reset();
    gate.may_go_on = true;
    engine->start_evaluation(last.reading("last", n_vocab))->wait();
    wait_until_idle(*engine);
    CHECK(running.positions.size() < 4000);
    CHECK(waiting.positions.empty());
    CHECK(last.is_complete(5));
}

TEST_CASE("readings that had to give up their pages hand over every row once, and the same ones") {
    const TemporaryModel model({});
    const auto roomy = Engine::load(options_for(model)), tight = Engine::load(tight_options(model));
    const int64_t n_vocab = roomy->info().n_vocab;
    REQUIRE(tight->stats().pages.n == 6);
    constexpr size_t n = 5;
    Rows alone[n], together[n], first_rows;
    Gate gate;  // none goes on before all are there
    EvaluationRequest first = first_rows.reading("first", n_vocab);
    first.sink = [&gate, sink = first.sink](int64_t position, std::span<const float> rows) {
        gate.wait();
        sink(position, rows);
    };
    const auto first_reading = tight->start_evaluation(std::move(first));
    REQUIRE(comes_true([&] { return gate.is_reached.load(); }));
    std::vector<std::shared_ptr<Evaluation>> readings;
    std::vector<std::shared_ptr<Generation>> answers;
    for (size_t i = 0; i < n; ++i) {
        const std::string text = text_of(static_cast<char>('a' + i), 150 + 20 * i);
        alone[i].first_wanted = together[i].first_wanted = static_cast<int64_t>(i) * 17;
        roomy->start_evaluation(alone[i].reading(text, n_vocab))->wait();
        answers.push_back(tight->submit(greedy(text_of(static_cast<char>('k' + i), 30), 200)));
        readings.push_back(tight->start_evaluation(together[i].reading(text, n_vocab)));
    }
    gate.may_go_on = true;
    first_reading->wait();
    for (size_t i = 0; i < n; ++i) {
        readings[i]->wait();
        CHECK(together[i].is_complete(151 + 20 * i));
        CHECK(together[i].logits == alone[i].logits);
        CHECK(collect(*answers[i]).tokens == generate(*roomy, greedy(text_of(static_cast<char>('k' + i), 30), 200)).tokens);
    }
    CHECK(tight->stats().n_preemptions > 0);
    wait_until_idle(*tight);
}

TEST_CASE("a text of exactly the window becomes a vector and a row of logits for each token, and a longer one is refused") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    options.n_ctx = 100;
    options.embeddings = true;
    const auto engine = Engine::load(options);
    const std::vector<TokenId> whole = prompt_of(text_of('x', 99)), longer = prompt_of(text_of('x', 100));
    for (const Pooling how : {Pooling::mean, Pooling::cls, Pooling::last})
        CHECK(engine->embed(whole, how).size() == static_cast<size_t>(engine->info().n_embd));
    CHECK_THROWS_AS(engine->embed(longer), ContextOverflow);
    Rows rows;
    engine->start_evaluation(rows.reading(text_of('x', 99), engine->info().n_vocab))->wait();
    CHECK(rows.is_complete(100));
    CHECK_THROWS_AS(engine->evaluate(longer, 0, [](int64_t, std::span<const float>) {}), ContextOverflow);
    wait_until_idle(*engine);
}

TEST_CASE("vectors, logits and answers take turns, and each is what it is alone") {
    const TemporaryModel model({.n_ctx = 1024});
    EngineOptions options = options_for(model);
    options.embeddings = true;
    options.n_sequences = 16;
    const auto engine = Engine::load(options);
    const int64_t n_vocab = engine->info().n_vocab;
    constexpr size_t n = 4;
    const auto text = [](size_t i, char base) { return text_of(static_cast<char>(base + i), 90 + 60 * i); };
    std::vector<std::vector<float>> vectors_alone;
    std::vector<std::vector<int32_t>> answers_alone;
    Rows rows_alone[n], rows[n];
    for (size_t i = 0; i < n; ++i) {
        vectors_alone.push_back(engine->embed(prompt_of(text(i, 'a')), Pooling::mean));
        engine->start_evaluation(rows_alone[i].reading(text(i, 'f'), n_vocab))->wait();
        answers_alone.push_back(generate(*engine, greedy(text(i, 'k'), 20)).tokens);
    }
    std::vector<std::vector<float>> vectors(n);
    std::vector<std::shared_ptr<Evaluation>> readings;
    std::vector<std::shared_ptr<Generation>> answers;
    for (size_t i = 0; i < n; ++i) {
        Request request = greedy(text(i, 'k'), 20);
        request.reuse_prefix = false;
        answers.push_back(engine->submit(request));
        readings.push_back(engine->start_embedding({.tokens = prompt_of(text(i, 'a')),
                                                    .pooling = Pooling::mean,
                                                    .take = [&vectors, i](std::vector<float> made) { vectors[i] = std::move(made); },
                                                    .on_done = {}}));
        readings.push_back(engine->start_evaluation(rows[i].reading(text(i, 'f'), n_vocab)));
    }
    for (const auto& each : readings) each->wait();
    for (size_t i = 0; i < n; ++i) {
        CHECK(vectors[i] == vectors_alone[i]);
        CHECK(rows[i].is_complete(91 + 60 * i));
        CHECK(rows[i].logits == rows_alone[i].logits);
        CHECK(collect(*answers[i]).tokens == answers_alone[i]);
    }
    wait_until_idle(*engine);
}
