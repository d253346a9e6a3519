// The prefix cache, guesses ahead, cache types and statistics, as callers of the engine see them.
#include <cmath>
#include <map>
#include <random>

#include "engine/tiny_engine_test.h"

using namespace quern;

TEST_CASE("a prompt that was read before is found in the cache, but for its last part") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    const auto cached = [&](Request request) {
        const auto generation = engine->submit(std::move(request));
        collect(*generation);
        CHECK(generation->stats().n_prompt_tokens > generation->stats().n_cached_tokens);
        return generation->stats().n_cached_tokens;
    };
    const std::string text(150, 'q');
    CHECK(cached(greedy(text, 3)) == 0);
    CHECK(cached(greedy(text, 3)) == 128);
    CHECK(cached(greedy(text + "more", 3)) == 128);
    CHECK(cached(greedy(text.substr(0, 127), 3)) == 64);  // 128 tokens: the last one is always computed
    CHECK(cached(greedy("x" + text, 3)) == 0);
    Request other = greedy(text, 3);
    other.cache_salt = "another";
    CHECK(cached(other) == 0);
    CHECK(cached(other) == 128);
    Request anew = greedy(text, 3);
    anew.reuse_prefix = false;
    CHECK(cached(anew) == 0);
    CHECK(engine->stats().n_cached_tokens == 128 + 128 + 64 + 128);
    CHECK(engine->stats().n_requests == 8);
}

TEST_CASE("equal prompts that arrive together are computed once") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    std::vector<std::shared_ptr<Generation>> choices;
    for (int i = 0; i < 4; ++i) choices.push_back(engine->submit(greedy(std::string(199, 'n'), 5)));
    for (const auto& each : choices) collect(*each);
    for (size_t i = 1; i < 4; ++i) CHECK(choices[i]->stats().n_cached_tokens == 192);
    wait_until_idle(*engine);
    CHECK(engine->stats().n_batched_tokens <= 200 + 3 * 8 + 4 * 5);
}

TEST_CASE("guesses ahead do not change an answer, and some are right") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    const auto plain = Engine::load(options);
    options.draft_ngram = 2;
    const auto guessing = Engine::load(options);
    options.draft_model_path = model.path();  // as good as a draft model can be
    const auto drafting = Engine::load(options);
    for (const float temperature : {0.0f, 0.9f}) {
        Request request = greedy("abcabcabcabcabc", 120);
        request.sampling.temperature = temperature;
        request.sampling.seed = 5;
        const std::vector<int32_t> tokens = generate(*plain, request).tokens;
        CHECK(generate(*guessing, request).tokens == tokens);
        const auto generation = drafting->submit(request);
        CHECK(collect(*generation).tokens == tokens);
        CHECK(generation->stats().n_drafted_tokens > 0);
        if (temperature == 0.0f) CHECK(generation->stats().n_accepted_tokens > 90);
    }
    CHECK(drafting->stats().n_steps < plain->stats().n_steps);
}

TEST_CASE("a draft model reads a long text in parts, and guesses nothing where it lacks a token") {
    const TemporaryModel model({.n_ctx = 1024}), smaller({.n_vocab = 250, .n_ctx = 1024});
    EngineOptions options = options_for(model);
    const auto plain = Engine::load(options);
    options.draft_model_path = model.path();
    const auto drafting = Engine::load(options);
    options.draft_model_path = smaller.path();
    const auto lacking = Engine::load(options);
    Request known = greedy(std::string(480, 'k'), 60), unknown = known;
    unknown.prompt[3] = TokenId{255};
    for (const Request& request : {known, unknown}) {
        const std::vector<int32_t> tokens = generate(*plain, request).tokens;
        for (Engine* engine : {drafting.get(), lacking.get()}) {
            const auto generation = engine->submit(request);
            CHECK(collect(*generation).tokens == tokens);
            CHECK((generation->stats().n_drafted_tokens > 0) == (engine == drafting.get() || request.prompt == known.prompt));
        }
    }
}

TEST_CASE("a draft model of another vocabulary is refused") {
    const TemporaryModel model({}), other({.n_vocab = 300});
    EngineOptions options = options_for(model);
    options.draft_model_path = other.path();
    CHECK_THROWS_AS(Engine::load(options), InvalidInput);
}

TEST_CASE("caches of every type answer alike alone and together, and nearly as f32 does") {
    const TemporaryModel model({.n_embd = 64, .n_heads = 2, .n_kv_heads = 1, .head_dim = 32});
    std::vector<int32_t> exact;
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0}) {
        EngineOptions options = options_for(model);
        options.cache_type_k = options.cache_type_v = type;
        const auto engine = Engine::load(options);
        const std::vector<int32_t> alone = generate(*engine, greedy(std::string(90, 'k'), 30)).tokens;
        std::vector<std::shared_ptr<Generation>> running;
        for (const char c : {'k', 'l', 'k'}) running.push_back(engine->submit(greedy(std::string(90, c), 30)));
        CHECK(collect(*running[0]).tokens == alone);
        CHECK(collect(*running[2]).tokens == alone);
        if (type == KvType::f32) exact = alone;
        if (type == KvType::f16) CHECK(std::equal(alone.begin(), alone.begin() + 5, exact.begin()));
        CHECK(engine->info().kv_bytes_per_token == 2 * 2 * static_cast<uint64_t>(kv_bytes(type, 32)));
    }
    const TemporaryModel small_heads({});
    EngineOptions options = options_for(small_heads);
    options.cache_type_v = KvType::q8_0;
    CHECK_THROWS_AS(Engine::load(options), InvalidInput);
}

TEST_CASE("min_tokens holds the end back") {
    const TemporaryModel model({});
    const auto engine = Engine::load(options_for(model));
    Request request = greedy("hello", 40);
    request.ignore_end = false;
    request.sampling.logit_bias = {{{2}, 1000.0f}};  // </s>
    CHECK(generate(*engine, request).tokens.empty());
    request.sampling.min_tokens = 7;
    const Result result = generate(*engine, request);
    CHECK(result.tokens.size() == 7);
    CHECK(result.reason == FinishReason::stop);
}

TEST_CASE("statistics show every request while it runs") {
    const TemporaryModel model({});
    EngineOptions options = options_for(model);
    options.n_sequences = 1;
    const auto engine = Engine::load(options);
    const auto first = engine->submit(greedy("hello", 200)), second = engine->submit(greedy("world", 200));
    first->next();
    bool seen = false;
    for (int i = 0; i < 2000 && !seen; ++i) {
        const EngineStats stats = engine->stats();
        if (stats.sequences.size() == 2) {
            seen = true;
            CHECK(stats.sequences[0].id == 1);
            CHECK(stats.sequences[0].state == SequenceStats::State::generating);
            CHECK(stats.sequences[0].n_prompt == 6);
            CHECK(stats.sequences[0].n_limit == 206);
            CHECK(stats.sequences[1].state == SequenceStats::State::waiting);
        }
    }
    first->cancel();
    second->cancel();
}
