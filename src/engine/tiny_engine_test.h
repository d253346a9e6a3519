// An engine on a tiny random model, and requests to it: for the tests of engine/.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "models/tiny_model_test.h"

namespace quern {

inline EngineOptions options_for(const TemporaryModel& model) {
    return {.model_path = model.path(), .n_threads = 2, .n_batch = 32, .n_sequences = 4, .kv_bytes = uint64_t{1} << 24};
}

inline std::vector<TokenId> prompt_of(const std::string& text) {
    std::vector<TokenId> tokens{{1}};
    for (const char c : text) tokens.push_back({static_cast<uint8_t>(c) + 3});
    return tokens;
}

inline Request greedy(const std::string& text, int64_t max_tokens) {
    Request request{.prompt = prompt_of(text), .max_tokens = max_tokens, .ignore_end = true};
    request.sampling.temperature = 0;
    return request;
}

struct Result {
    std::string text;
    std::vector<int32_t> tokens;
    FinishReason reason;
};

inline Result collect(Generation& generation) {
    Result result{};
    for (;;) {
        const OutputDelta delta = generation.next();
        result.text += delta.text;
        for (const TokenOutput& token : delta.tokens) result.tokens.push_back(token.token.value);
        if (!delta.finish) continue;
        result.reason = *delta.finish;
        return result;
    }
}

inline Result generate(Engine& engine, Request request) { return collect(*engine.submit(std::move(request))); }

inline void wait_until_idle(const Engine& engine) {
    for (int i = 0; i < 2000 && engine.stats().n_running + engine.stats().n_waiting > 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(engine.stats().n_running == 0);
    CHECK(engine.stats().pages.n_free == engine.stats().pages.n);
    CHECK(engine.stats().window_pages.n_free == engine.stats().window_pages.n);
}

}  // namespace quern
