// What the engine promises its callers: answers, refusals, logits, memory.
#include <cmath>
#include <map>
#include <random>

#include "engine/tiny_engine_test.h"

using namespace quern;

TEST_CASE("a greedy answer has the tokens that the logits ask for") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const Result result = generate(*engine, greedy("hello", 12));
    CHECK(result.reason == FinishReason::length);
    REQUIRE(result.tokens.size() == 12);
    std::vector<TokenId> text = prompt_of("hello");
    for (const int32_t token : result.tokens) {
        int32_t best = -1;
        engine->evaluate(text, static_cast<int64_t>(text.size()) - 1, [&](int64_t position, std::span<const float> logits) {
            CHECK(position == static_cast<int64_t>(text.size()) - 1);
            best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        });
        CHECK(best == token);
        text.push_back({token});
    }
}

TEST_CASE("logits at every position equal the logits of each beginning") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const std::vector<TokenId> text = prompt_of("a text that is longer than one batch of tokens, and than one page of the cache too");
    std::vector<std::vector<float>> rows;
    const auto n_vocab = static_cast<size_t>(engine->info().n_vocab);
    engine->evaluate(text, 0, [&](int64_t position, std::span<const float> logits) {
        CHECK(position == static_cast<int64_t>(rows.size()));
        for (; !logits.empty(); logits = logits.subspan(n_vocab))
            rows.emplace_back(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(n_vocab));
    });
    REQUIRE(rows.size() == text.size());
    for (const size_t n : {size_t{1}, size_t{33}, size_t{65}, text.size()})
        engine->evaluate({text.data(), n}, static_cast<int64_t>(n) - 1, [&](int64_t, std::span<const float> logits) {
            for (size_t i = 0; i < logits.size(); ++i) CHECK(std::abs(logits[i] - rows[n - 1][i]) < 2e-3);
        });
}

TEST_CASE("requests that run together give the answers they give alone") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    std::vector<Request> requests;
    for (int i = 0; i < 10; ++i) {
        Request request = greedy("prompt " + std::string(static_cast<size_t>(i * 9), static_cast<char>('a' + i)), 20 + i);
        if (i % 2) request.sampling.temperature = 1.0f, request.sampling.seed = static_cast<uint64_t>(i);
        requests.push_back(request);
    }
    std::vector<Result> alone;
    for (const Request& request : requests) alone.push_back(generate(*engine, request));
    const int64_t steps_before = engine->stats().n_steps;
    std::vector<std::shared_ptr<Generation>> running;
    for (const Request& request : requests) running.push_back(engine->submit(request));
    int64_t n_tokens = 0;
    for (size_t i = 0; i < running.size(); ++i) {
        const Result together = collect(*running[i]);
        CHECK(together.tokens == alone[i].tokens);
        n_tokens += static_cast<int64_t>(together.tokens.size());
    }
    wait_until_idle(*engine);
    CHECK(engine->stats().n_steps - steps_before < n_tokens * 3 / 4);  // batches were shared, on a busy machine too
}

TEST_CASE("sequences that had to give up their pages give the same answers") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    const auto roomy = Engine::load(options);
    options.n_ctx = 256;
    options.kv_bytes = 6 * 2 * 2 * 2 * 8 * 64 * 2;  // six pages for four sequences that grow to four pages each
    const auto tight = Engine::load(options);
    CHECK(tight->stats().pages.n == 6);
    std::vector<std::shared_ptr<Generation>> running;
    for (int i = 0; i < 6; ++i) running.push_back(tight->submit(greedy(std::string(30, static_cast<char>('a' + i)), 200)));
    for (int i = 0; i < 6; ++i)
        CHECK(collect(*running[static_cast<size_t>(i)]).tokens ==
              generate(*roomy, greedy(std::string(30, static_cast<char>('a' + i)), 200)).tokens);
    wait_until_idle(*tight);
}

TEST_CASE("a stop string ends the answer before it") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const Result whole = generate(*engine, greedy("hello", 60));
    REQUIRE(whole.text.size() > 8);
    size_t at = 4;
    while (static_cast<uint8_t>(whole.text[at]) >= 0x80 || static_cast<uint8_t>(whole.text[at + 1]) >= 0x80) ++at;
    Request request = greedy("hello", 60);
    request.stop = {"no such text", whole.text.substr(at, 2)};
    const Result stopped = generate(*engine, request);
    CHECK(stopped.reason == FinishReason::stop);
    CHECK(stopped.text == whole.text.substr(0, whole.text.find(request.stop[1])));
    wait_until_idle(*engine);
}

TEST_CASE("cancelling, or losing interest, frees the pages") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    {
        const auto cancelled = engine->submit(greedy("x", 200));
        cancelled->cancel();
        CHECK(collect(*cancelled).reason == FinishReason::cancelled);
        const auto dropped = engine->submit(greedy("y", 200));
    }
    wait_until_idle(*engine);
    CHECK(generate(*engine, greedy("z", 3)).tokens.size() == 3);
}

TEST_CASE("the window bounds an answer, and a prompt that does not fit is refused with the numbers") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    options.n_ctx = 40;
    const auto engine = Engine::load(options);
    CHECK(engine->info().n_ctx == 40);
    const Result result = generate(*engine, greedy("0123456789", 1000));
    CHECK(result.reason == FinishReason::length);
    CHECK(result.tokens.size() == 40 - 11);
    try {
        engine->submit(greedy(std::string(50, 'x'), 1));
        FAIL("accepted");
    } catch (const ContextOverflow& error) {
        CHECK(std::string(error.what()).find("40") != std::string::npos);
        CHECK(std::string(error.what()).find("51") != std::string::npos);
    }
}

TEST_CASE("a prompt that fills the window can be read, but not gone on with") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const std::string text(static_cast<size_t>(engine->info().n_ctx) - 1, 'w');
    CHECK(generate(*engine, greedy(text, 0)).reason == FinishReason::length);
    CHECK_THROWS_AS(engine->submit(greedy(text, 1)), ContextOverflow);
    CHECK_THROWS_AS(engine->submit(greedy(text + "w", 0)), ContextOverflow);
}

TEST_CASE("bad requests are refused by field and do no harm") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const auto field_of = [&](Request request) -> std::string {
        try {
            engine->submit(std::move(request));
        } catch (const InvalidInput& error) {
            return error.field();
        }
        return "accepted";
    };
    Request request = greedy("x", 1);
    request.prompt.clear();
    CHECK(field_of(request) == "prompt");
    request.prompt = {{1}, {100000}};
    CHECK(field_of(request) == "prompt");
    request.prompt = {{-1}};
    CHECK(field_of(request) == "prompt");
    request = greedy("x", -5);
    CHECK(field_of(request) == "max_tokens");
    request = greedy("x", 1);
    request.stop = {""};
    CHECK(field_of(request) == "stop");
    request = greedy("x", 1);
    request.sampling.temperature = std::nanf("");
    CHECK(field_of(request) == "temperature");
    CHECK(generate(*engine, greedy("x", 0)).tokens.empty());
    CHECK(generate(*engine, greedy("x", 1)).tokens.size() == 1);
}

TEST_CASE("a full queue says so instead of growing") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    options.n_sequences = 1;
    options.n_queue = 2;
    const auto engine = Engine::load(options);
    std::vector<std::shared_ptr<Generation>> running;
    bool refused = false;
    for (int i = 0; i < 50 && !refused; ++i) {
        try {
            running.push_back(engine->submit(greedy("x", 200)));
        } catch (const EngineBusy&) {
            refused = true;
        }
    }
    CHECK(refused);
}

TEST_CASE("the queue begins where no more can run, and what goes on with a request is let in") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    options.n_sequences = 3;
    options.n_queue = 2;
    const auto engine = Engine::load(options);
    for (int round = 0; round < 100; ++round) {
        std::vector<std::shared_ptr<Generation>> accepted;
        for (int i = 0; i < 5; ++i) accepted.push_back(engine->submit(greedy("x", 20)));
        Request more = greedy("x", 2);
        more.goes_on = true;
        for (int i = 0; i < 3; ++i) accepted.push_back(engine->submit(more));
        for (const auto& each : accepted) collect(*each);
        wait_until_idle(*engine);
    }
}

TEST_CASE("a stop string is named, wherever in a token it begins") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const std::string whole = collect(*engine->submit(greedy("x", 30))).text;
    Request request = greedy("x", 30);
    request.stop = {"never there", whole.substr(5, 3)};
    const auto generation = engine->submit(request);
    OutputDelta delta;
    while (!delta.finish) delta = generation->next();
    CHECK(delta.finish == FinishReason::stop);
    CHECK(delta.stop == request.stop[1]);
}

TEST_CASE("a file without a vocabulary still runs by token id") {
    const TemporaryModel model({.vocabulary = false});
    const auto engine = Engine::load(options_for(model));
    CHECK(generate(*engine, greedy("x", 3)).tokens.size() == 3);
}

TEST_CASE("the memory that a model needs is known without taking it, and is what loading takes") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    options.n_ctx = 128;
    const MemoryNeed need = memory_need(options);
    const auto engine = Engine::load(options);
    CHECK(need.n_ctx == 128);
    CHECK(need.weight_bytes == engine->info().file_bytes);
    CHECK(need.workspace_bytes == engine->info().workspace_bytes);
    CHECK(need.kv_bytes == 128 * engine->info().kv_bytes_per_token);
    options.n_ctx = 0;
    CHECK(memory_need(options).n_ctx == 256);
}

TEST_CASE("options that cannot be are refused") {
    const TemporaryModel model({});
    const auto refuse = [&](auto change) {
        EngineOptions options = options_for(model);
        change(options);
        CHECK_THROWS_AS(Engine::load(options), InvalidInput);
    };
    refuse([](EngineOptions& o) { o.n_ctx = -1; });
    refuse([](EngineOptions& o) { o.n_batch = 0; });
    refuse([](EngineOptions& o) { o.n_sequences = 0; });
    refuse([](EngineOptions& o) { o.n_threads = -2; });
    refuse([](EngineOptions& o) { o.chat_format = "no such format"; });
    refuse([](EngineOptions& o) { o.n_ctx = 1 << 20; });  // needs more than kv_bytes
}

TEST_CASE("an observer sees what every matrix is multiplied with, and nothing once it is gone") {
    const TemporaryModel model(TinyModel{});
    const auto engine = Engine::load(options_for(model));
    const std::vector<TokenId> tokens = prompt_of("some text to look at");
    std::map<std::string, int64_t> rows;
    double squares_of_normed = 0;
    engine->observe_inputs([&](const MatmulInput& input) {
        for (const std::string_view name : input.tensors) rows[std::string(name)] += input.n_rows;
        if (input.tensors.front() != "blk.0.attn_q.weight") return;
        CHECK(input.tensors.size() == 3);
        for (int64_t i = 0; i < input.n_cols; ++i) squares_of_normed += std::pow(static_cast<double>(input.rows[i]), 2);
    });
    const auto ignore = [](int64_t, std::span<const float>) {};
    engine->evaluate(tokens, 0, ignore);
    CHECK(rows.size() == 2 * 7 + 1);
    for (const auto& [name, n] : rows) CHECK(n == static_cast<int64_t>(tokens.size()));
    CHECK(squares_of_normed > 0);
    rows.clear();
    engine->observe_inputs([](const MatmulInput&) { throw InvalidInput("enough"); });
    CHECK_THROWS_WITH_AS(engine->evaluate(tokens, 0, ignore), "enough", InvalidInput);
    engine->observe_inputs({});
    engine->evaluate(tokens, 0, ignore);
    CHECK(rows.empty());
}
