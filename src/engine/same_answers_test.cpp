// The engine's promise: an answer is the same to the token alone on a fresh engine, and in any company: batched, cached, preempted, cut
// short around it, with guesses ahead or without.
#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <thread>

#include "engine/engine.h"
#include "models/tiny_model_test.h"

using namespace quern;

namespace {

constexpr uint64_t page_bytes = 2 * 2 * 2 * 8 * 64 * 2;  // of the tiny model: layers, sides, KV heads, values, tokens, bytes
constexpr uint64_t roomy = uint64_t{1} << 20;

std::vector<int32_t> collect(Generation& generation) {
    std::vector<int32_t> tokens;
    for (;;) {
        const OutputDelta delta = generation.next();
        for (const TokenOutput& token : delta.tokens) tokens.push_back(token.token.value);
        if (!delta.finish) continue;
        CHECK(*delta.finish != FinishReason::error);
        return tokens;
    }
}

// A pool of requests, many of which begin alike.
std::vector<Request> make_requests(std::mt19937& random, size_t n, std::initializer_list<size_t> lengths = {40, 64, 65, 100, 140}) {
    std::vector<std::vector<TokenId>> beginnings{{{1}}};
    for (const size_t length : lengths) {
        std::vector<TokenId> tokens{{1}};
        while (tokens.size() < length) tokens.push_back({static_cast<int32_t>(3 + random() % 250)});
        beginnings.push_back(std::move(tokens));
    }
    std::vector<Request> requests;
    for (size_t i = 0; i < n; ++i) {
        Request request{
            .prompt = beginnings[random() % beginnings.size()], .max_tokens = static_cast<int64_t>(random() % 110), .ignore_end = true};
        const size_t n_more = random() % 3 == 0 ? 0 : random() % 60;
        const auto period = static_cast<int32_t>(2 + random() % 5);  // repetitions, so that looking up finds something
        for (size_t k = 0; k < n_more; ++k) request.prompt.push_back({static_cast<int32_t>(40 + static_cast<int32_t>(k) % period)});
        SamplingParams& sampling = request.sampling;
        sampling.temperature = random() % 2 ? 0.0f : 0.7f;
        sampling.seed = random() % 1000;
        if (random() % 4 == 0) sampling.repeat_penalty = 1.3f;
        if (random() % 4 == 0) sampling.top_k = 20, sampling.top_p = 0.9f;
        if (random() % 6 == 0) sampling.mirostat = 1 + static_cast<int>(random() % 2);
        if (random() % 6 == 0) sampling.dry_multiplier = 0.8f;
        if (random() % 6 == 0) sampling.xtc_probability = 0.5f, sampling.xtc_threshold = 0.02f;
        requests.push_back(std::move(request));
    }
    return requests;
}

EngineOptions options_for(const TemporaryModel& model, const TemporaryModel& draft, std::mt19937& random) {
    EngineOptions options{.model_path = model.path(), .n_ctx = 256, .n_threads = 1, .n_queue = 1000};
    constexpr int64_t batches[] = {1, 7, 33, 64, 512};
    options.n_batch = batches[random() % std::size(batches)];
    options.n_sequences = 1 + static_cast<int>(random() % 8);
    options.kv_bytes = page_bytes * (4 + random() % 8);  // 4: one sequence of full length
    options.prefix_cache = random() % 4 != 0;
    switch (random() % 3) {
        case 0:
            options.n_draft = 1 + static_cast<int>(random() % 9);
            options.draft_ngram = 3;
            break;
        case 1:
            options.n_draft = 1 + static_cast<int>(random() % 4);
            options.draft_model_path = draft.path();
            options.kv_bytes *= 2;  // for the pages of both
            break;
        default:
            break;
    }
    return options;
}

struct Tally {
    int64_t n_answers = 0, n_cached = 0, n_preemptions = 0, n_evictions = 0, n_drafted = 0, n_accepted = 0, n_cancelled = 0;
};

// One interleaving: requests arrive at random, some are cancelled, and all that finish are what they are alone.
void interleave(Engine& engine, const std::vector<Request>& requests, const std::vector<std::vector<int32_t>>& alone, std::mt19937& random,
                Tally& tally) {
    struct Running {
        size_t index;
        std::shared_ptr<Generation> generation;
        bool cancelled;
    };
    std::vector<Running> running;
    const size_t n = 2 + random() % 7;
    for (size_t i = 0; i < n; ++i) {
        const size_t index = random() % requests.size();
        running.push_back({index, engine.submit(requests[index]), random() % 5 == 0});
        if (random() % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        if (random() % 4 == 0) running[random() % running.size()].cancelled = true;
        for (Running& each : running)
            if (each.cancelled && random() % 2) each.generation->cancel();
    }
    for (Running& each : running) {
        if (each.cancelled) {
            each.generation->cancel();
            ++tally.n_cancelled;
            const std::vector<int32_t> tokens = collect(*each.generation);
            REQUIRE(tokens.size() <= alone[each.index].size());
            CHECK(std::equal(tokens.begin(), tokens.end(), alone[each.index].begin()));
            continue;
        }
        const std::vector<int32_t> tokens = collect(*each.generation);
        CHECK(tokens == alone[each.index]);
        tally.n_cached += each.generation->stats().n_cached_tokens;
        ++tally.n_answers;
    }
}

void check_all_pages_back(const Engine& engine) {
    EngineStats stats = engine.stats();
    for (int i = 0; i < 5000 && (stats.n_running + stats.n_waiting > 0 || stats.pages.n_free != stats.pages.n); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        stats = engine.stats();
    }
    CHECK(stats.n_running + stats.n_waiting == 0);
    CHECK(stats.pages.n_free == stats.pages.n);
}

}  // namespace

namespace {

// 52 engines with ten interleavings each. @param change  the options of each engine, after options_for()
template <typename Change>
Tally interleave_often(const TemporaryModel& model, const std::vector<Request>& requests, int64_t n_ctx, Change change) {
    const TemporaryModel draft({.n_layers = 1, .n_ctx = n_ctx, .seed = 1});
    std::mt19937 random(20);
    std::vector<std::vector<int32_t>> alone;
    for (const Request& request : requests) {
        const auto engine = Engine::load({.model_path = model.path(), .n_ctx = n_ctx, .n_threads = 1, .kv_bytes = roomy});
        alone.push_back(collect(*engine->submit(request)));
    }
    Tally tally;
    for (int round = 0; round < 52; ++round) {
        EngineOptions options = options_for(model, draft, random);
        options.n_ctx = n_ctx;
        change(options, random);
        CAPTURE(round);
        const auto engine = Engine::load(options);
        for (int i = 0; i < 10; ++i) interleave(*engine, requests, alone, random, tally);
        check_all_pages_back(*engine);
        const EngineStats stats = engine->stats();
        tally.n_preemptions += stats.n_preemptions;
        tally.n_evictions += stats.pages.n_evicted + stats.window_pages.n_evicted;
        tally.n_drafted += stats.n_drafted_tokens;
        tally.n_accepted += stats.n_accepted_tokens;
    }
    MESSAGE(tally.n_answers, " answers, ", tally.n_cancelled, " cancelled; ", tally.n_cached, " tokens cached; ", tally.n_preemptions,
            " preemptions; ", tally.n_evictions, " pages evicted; ", tally.n_drafted, " drafted, ", tally.n_accepted, " accepted");
    CHECK(tally.n_answers > 1000);
    CHECK(tally.n_cached > 10000);
    CHECK(tally.n_preemptions > 20);
    CHECK(tally.n_evictions > 100);
    CHECK(tally.n_accepted > 100);
    return tally;
}

}  // namespace

TEST_CASE("over 500 interleavings, every answer is the one given fresh and alone") {
    std::mt19937 random(20);
    interleave_often(TemporaryModel({}), make_requests(random, 40), 256, [](EngineOptions&, std::mt19937&) {});
}

TEST_CASE("the same over 500 interleavings where every other layer keeps only its window") {
    const TemporaryModel model({.architecture = "gemma2", .n_ctx = 448, .window = 50});
    std::mt19937 random(21);
    interleave_often(model, make_requests(random, 40, {40, 64, 130, 200, 270}), 448, [](EngineOptions& options, std::mt19937& dice) {
        options.n_batch = std::min<int64_t>(options.n_batch, 64);
        options.kv_bytes = page_bytes / 2 * (7 + 3 + dice() % 14);  // a sequence of full length: pages of the full layer, of the other
        if (!options.draft_model_path.empty()) options.kv_bytes += 7 * page_bytes;
        const auto engine = Engine::load(options);
        CHECK(engine->info().n_windowed_layers == 1);
        CHECK(engine->info().kv_bytes <= options.kv_bytes);
    });
}

TEST_CASE("the same over 500 interleavings where all layers keep only their windows") {
    const TemporaryModel model({.n_ctx = 448, .window = 70});
    std::mt19937 random(22);
    interleave_often(model, make_requests(random, 40, {40, 64, 130, 200, 270}), 448, [](EngineOptions& options, std::mt19937& dice) {
        options.n_batch = std::min<int64_t>(options.n_batch, 64);
        options.kv_bytes = page_bytes * (4 + dice() % 6);
        if (!options.draft_model_path.empty()) options.kv_bytes += 7 * page_bytes;
        CHECK(Engine::load(options)->info().n_windowed_layers == 2);
    });
}

TEST_CASE("after 200 requests aborted at random points, all pages are back") {
    const TemporaryModel model({});
    const auto engine =
        Engine::load({.model_path = model.path(), .n_threads = 1, .n_sequences = 6, .n_queue = 1000, .kv_bytes = page_bytes * 12});
    std::mt19937 random(4);
    const std::vector<Request> requests = make_requests(random, 30);
    std::vector<std::shared_ptr<Generation>> running;
    for (int i = 0; i < 200; ++i) {
        running.push_back(engine->submit(requests[random() % requests.size()]));
        if (random() % 2) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
        if (running.size() < 8) continue;
        const auto victim = running.begin() + static_cast<std::ptrdiff_t>(random() % running.size());
        if (random() % 2) (*victim)->cancel();
        running.erase(victim);
    }
    running.clear();
    check_all_pages_back(*engine);
    CHECK(collect(*engine->submit(requests[0])).size() <= 110);
}
