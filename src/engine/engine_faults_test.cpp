// Whatever throws on the engine's thread: every request is told its end, and the engine goes on or says that it does not.
#include <atomic>

#include "base/log.h"
#include "engine/engine_loop.h"
#include "engine/failing_allocation_test.h"
#include "engine/failure.h"
#include "engine/load_vocabulary.h"
#include "engine/tiny_engine_test.h"

using namespace quern;

namespace {

/// No messages about faults that are meant.
struct Silence {
    const LogLevel before = log_level();
    Silence() { set_log_level(LogLevel::off); }
    ~Silence() { set_log_level(before); }
};

template <typename Condition>
bool comes_true(const Condition& condition) {
    for (int i = 0; i < 20'000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

/// How an answer ended; nothing: not within 20 seconds.
std::optional<FinishReason> end_of(Generation& generation) {
    std::optional<FinishReason> finish;
    comes_true([&] {
        while (const auto delta = generation.poll())
            if (delta->finish) finish = delta->finish;
        return finish.has_value();
    });
    return finish;
}

std::string text_of(char letter, size_t n) { return std::string(n, letter); }

/// Requests of every kind, more than run at once and than the pages hold, the first of which has allocations of the engine's thread fail.
struct Crowd {
    std::vector<std::shared_ptr<Generation>> answers;
    std::vector<std::shared_ptr<Evaluation>> readings;
    std::atomic<int> n_told{0};
    std::atomic<bool> is_armed{false};

    Crowd(Engine& engine, int64_t n_before, int64_t n_failing) {
        Request first = greedy("abcabcabc", 12);
        first.on_output = [=, this] {
            if (!is_armed.exchange(true)) test::fail_allocations(n_before, n_failing);
        };
        answers.push_back(engine.submit(std::move(first)));
        for (const char letter : {'p', 'p', 'q'}) {  // two share their beginning
            Request request = greedy(text_of(letter, 140), 6);
            request.on_output = [] {};
            request.n_logprobs = 2;
            answers.push_back(engine.submit(std::move(request)));
        }
        readings.push_back(engine.start_evaluation(
            {.tokens = prompt_of(text_of('r', 80)), .sink = [](int64_t, std::span<const float>) {}, .on_done = [this] { ++n_told; }}));
        readings.push_back(engine.start_embedding(
            {.tokens = prompt_of(text_of('v', 70)), .take = [](std::vector<float>) {}, .on_done = [this] { ++n_told; }}));
    }

    /// How many ended with an error, all of which say which; -1: not all ended.
    int n_errors() {
        int n = 0;
        for (const auto& each : answers) {
            const auto end = end_of(*each);
            if (!end || *end == FinishReason::cancelled) return -1;
            if (*end != FinishReason::error) continue;
            ++n;
            CHECK(each->failure() != nullptr);
        }
        for (const auto& each : readings) {
            if (!comes_true([&] { return each->is_done(); })) return -1;
            try {
                each->wait();
            } catch (const std::bad_alloc&) {
                ++n;
            }
        }
        CHECK(comes_true([&] { return n_told == 2; }));
        return n;
    }
};

EngineOptions crowded_options(const TemporaryModel& model) {
    EngineOptions options = options_for(model);
    options.n_sequences = 3;
    options.kv_bytes = 6 * 2 * 2 * 2 * 8 * 64 * 2;  // six pages
    options.n_ctx = 256;
    options.embeddings = true;
    options.n_threads = 1;
    return options;
}

/// Has each of the engine's allocations fail in turn, and the n_failing - 1 after it.
void fail_each_allocation(EngineOptions options, int64_t n_failing) {
    const Silence silence;
    const auto engine = Engine::load(options);
    const std::vector<int32_t> right = generate(*engine, greedy("control", 8)).tokens;
    int64_t n_rounds = 0;
    int n_errors = 0;
    for (int64_t n_before = 0;; n_before += 1 + n_before / 40, ++n_rounds) {
        const int64_t n_failed = test::n_failed_allocations();
        Crowd crowd(*engine, n_before, n_failing);
        const int n = crowd.n_errors();
        REQUIRE(n >= 0);
        n_errors += n;
        test::allow_allocations();
        wait_until_idle(*engine);
        REQUIRE(generate(*engine, greedy("control", 8)).tokens == right);
        REQUIRE(engine->failure().empty());
        if (test::n_failed_allocations() == n_failed) break;  // all had been made before
    }
    MESSAGE(n_rounds << " rounds, " << n_errors << " errors");
    CHECK(n_rounds > 50);
    CHECK(n_errors > 20);
}

}  // namespace

TEST_CASE("whichever allocation of the engine's thread fails, every request ends and the engine goes on with all its pages") {
    const TemporaryModel model({});
    fail_each_allocation(crowded_options(model), 1);
}

TEST_CASE("the same where memory is short for a while") {
    const TemporaryModel model({});
    fail_each_allocation(crowded_options(model), 25);
}

TEST_CASE("the same where tokens are guessed ahead, and where layers keep windows") {
    const TemporaryModel model({}), windowed({.architecture = "gemma2", .window = 70});
    EngineOptions options = crowded_options(model);
    options.draft_model_path = model.path();
    options.kv_bytes *= 2;
    fail_each_allocation(options, 1);
    options = crowded_options(windowed);
    options.draft_ngram = 2;
    options.kv_bytes = uint64_t{1} << 17;
    fail_each_allocation(options, 1);
}

TEST_CASE("what a kernel throws that is no std::exception fails the requests of its step, and the next ones are answered") {
    const Silence silence;
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    engine->observe_inputs([](const MatmulInput&) { throw 42; });
    const auto first = engine->submit(greedy("hello", 5)), second = engine->submit(greedy("world", 5));
    for (const auto& each : {first, second}) {
        CHECK(end_of(*each) == FinishReason::error);
        CHECK(each->failure() != nullptr);
    }
    CHECK_THROWS_AS(engine->evaluate(prompt_of("text"), 0, [](int64_t, std::span<const float>) {}), int);
    engine->observe_inputs({});
    CHECK(generate(*engine, greedy("hello", 5)).tokens.size() == 5);
    wait_until_idle(*engine);
}

TEST_CASE("what a sink throws, of whatever kind, comes out of wait() and nobody else hears of it") {
    const Silence silence;
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const auto answer = engine->submit(greedy("hello", 30));
    CHECK_THROWS_AS(engine->evaluate(prompt_of("text"), 0, [](int64_t, std::span<const float>) { throw 42; }), int);
    CHECK_THROWS_WITH_AS(engine->evaluate(prompt_of("text"), 0, [](int64_t, std::span<const float>) { throw InvalidInput("no"); }), "no",
                         InvalidInput);
    CHECK(end_of(*answer) == FinishReason::length);
    wait_until_idle(*engine);
}

TEST_CASE("a callback that throws harms neither its request nor others") {
    const Silence silence;
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const std::vector<int32_t> right = generate(*engine, greedy("hello", 9)).tokens;
    Request request = greedy("hello", 9);
    request.on_output = [] { throw std::runtime_error("in a callback"); };
    const auto failing = engine->submit(request);
    request.on_output = [] { throw 42; };
    const auto worse = engine->submit(request);
    const auto reading = engine->start_evaluation(
        {.tokens = prompt_of("some text"), .sink = [](int64_t, std::span<const float>) {}, .on_done = [] { throw 42; }});
    CHECK(collect(*failing).tokens == right);
    CHECK(collect(*worse).tokens == right);
    CHECK_NOTHROW(reading->wait());
    const auto cancelled = engine->submit(request);
    cancelled->cancel();
    CHECK(end_of(*cancelled) == FinishReason::cancelled);
    wait_until_idle(*engine);
}

namespace {

std::unique_ptr<Sequence> sequence_of(int64_t n_prompt, std::shared_ptr<OutputChannel> channel) {
    auto sequence = std::make_unique<Sequence>(Sequence{.channel = std::move(channel),
                                                        .sampler = Sampler({.temperature = 0}, {}),
                                                        .n_prompt = n_prompt,
                                                        .n_limit = n_prompt + 100,
                                                        .ignore_end = true});
    sequence->tokens.assign(static_cast<size_t>(n_prompt), 5);
    return sequence;
}

/// A loop on a tiny model, not started.
struct BareLoop {
    const TemporaryModel file_on_disk{{}};
    const std::shared_ptr<const GgufFile> file{GgufFile::open(file_on_disk.path())};
    const std::unique_ptr<const Model> model = load_model(*file);
    const std::unique_ptr<Device> device = make_cpu_device(1, std::nullopt);
    const std::shared_ptr<EngineInbox> inbox = std::make_shared<EngineInbox>(2, 4);
    EngineLoop loop{parts(), inbox};

    EngineParts parts() const {
        const Graph graph = model->build(256);
        const BatchLimits limits{.n_tokens = 32, .n_outputs = 4};
        return {.file = file,
                .tokenizer = make_tokenizer(*file, load_vocabulary(*file)),
                .prompts = std::make_unique<Executor>(graph, *device, limits, Fusion::on, TokenKernels::many),
                .answers = std::make_unique<Executor>(graph, *device, limits, Fusion::on, TokenKernels::few),
                .cache = std::make_unique<KvCache>(*device, model->kv_shape(), 8),
                .n_pages = 8,
                .n_sequences = 2,
                .n_vocab = model->n_vocab()};
    }
};

std::shared_ptr<OutputChannel> submit(EngineInbox& inbox, int64_t n_prompt) {
    auto channel = std::make_shared<OutputChannel>(nullptr);
    inbox.submit(sequence_of(n_prompt, channel), false);
    return channel;
}

std::optional<FinishReason> end_of(OutputChannel& channel) {
    std::optional<FinishReason> finish;
    comes_true([&] { return (finish = channel.take(false).finish).has_value(); });
    return finish;
}

}  // namespace

TEST_CASE("an engine that has lost count of its pages tells everybody, says so, and computes nothing more") {
    const Silence silence;
    BareLoop bare;
    EngineInbox& inbox = *bare.inbox;
    auto lost = std::make_shared<OutputChannel>(nullptr);
    auto sequence = sequence_of(20, lost);
    PagePool foreign_pool(8);
    PrefixCache foreign_cache(foreign_pool, true);
    REQUIRE(sequence->pages.cover(foreign_cache, 8 * kv_page_tokens));  // pages that nobody has given it here
    inbox.submit(std::move(sequence), false);
    const auto running = submit(inbox, 30), waiting = submit(inbox, 30);
    lost->cancel();
    inbox.notice_cancel();
    std::thread thread([&] { bare.loop.run(); });
    CHECK(end_of(*running) == FinishReason::error);
    CHECK(end_of(*waiting) == FinishReason::error);
    CHECK(end_of(*lost).has_value());
    CHECK(text_of(running->failure()).find("owners") != std::string::npos);
    CHECK(comes_true([&] { return !inbox.failure().empty(); }));
    CHECK_THROWS_AS(submit(inbox, 30), InternalError);
    bool is_done = false;
    inbox.run_between_steps([&] { is_done = true; }).get();
    CHECK(is_done);
    CHECK(inbox.stats().n_running + inbox.stats().n_waiting == 0);
    inbox.stop();
    thread.join();
}

TEST_CASE("whoever leaves something in an inbox that is not emptied any more is told") {
    BareLoop bare;
    EngineInbox& inbox = *bare.inbox;
    const auto first = submit(inbox, 30), second = submit(inbox, 30);
    std::future<void> job = inbox.run_between_steps([] {});
    inbox.stop();
    bare.loop.run();
    CHECK(end_of(*first) == FinishReason::cancelled);
    CHECK(end_of(*second) == FinishReason::cancelled);
    CHECK_THROWS_AS(job.get(), std::future_error);
}

TEST_CASE("a request has its place from the moment of submission until its end") {
    EngineInbox inbox(1, 1);
    EngineInbox::Mail mail;
    submit(inbox, 10);
    submit(inbox, 10);
    CHECK_THROWS_AS(submit(inbox, 10), EngineBusy);
    inbox.take(mail, true);
    REQUIRE(mail.sequences.size() == 2);
    CHECK(mail.sequences[0]->id == 1);
    CHECK(mail.sequences[1]->id == 2);
    CHECK_THROWS_AS(submit(inbox, 10), EngineBusy);
    inbox.submit(sequence_of(10, std::make_shared<OutputChannel>(nullptr)), true);
    inbox.publish({.n_running = 2}, false);
    CHECK(inbox.stats().n_requests == 3);
    inbox.ends_one();
    CHECK_THROWS_AS(submit(inbox, 10), EngineBusy);
    inbox.ends_one();
    submit(inbox, 10);
    CHECK_THROWS_AS(submit(inbox, 10), EngineBusy);
    mail = {};
    inbox.take(mail, false);
    CHECK(mail.sequences.size() == 2);
    CHECK(mail.sequences.back()->id == 4);
}
