// Streams that have nothing to say yet say so, whatever they wait for; and no wait is longer than the time-out.
#include <doctest/doctest.h>

#include "server/api_service.h"
#include "server/fake_engine_test.h"
#include "server/http/test_client_test.h"

using namespace quern;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t mib = 1 << 20;

/// Two models of which one fits, whose answers take their time; and the server before them.
struct SlowServer {
    explicit SlowServer(std::chrono::milliseconds answer_time = 0ms)
        : store(10 * mib, {.load = &load,
                           .need = [](const EngineOptions&) { return MemoryNeed{.n_ctx = 64, .weight_bytes = 10 * mib}; },
                           .has_file = [](const std::string&) { return true; }}),
          service(store, {.access = AccessRules({}, "localhost", true)}),
          running(service, limits(answer_time)) {
        for (const char* name : {"slow", "other"}) store.declare({.options = {.model_path = name}});
        store.preload();
    }

    static std::unique_ptr<Engine> load(const EngineOptions& options) {
        const bool is_slow = options.model_path == "slow";
        auto engine = std::make_unique<FakeEngine>(FakeEngine::Script{.text = "Hello", .pause = is_slow ? 100ms : 0ms});
        engine->set_memory(10 * mib);
        return engine;
    }
    static HttpLimits limits(std::chrono::milliseconds answer_time) {
        HttpLimits limits;
        limits.event_pause = 20ms;
        limits.answer_time = answer_time;
        return limits;
    }

    ModelStore store;
    ApiService service;
    RunningServer running;
};

}  // namespace

TEST_CASE("a stream gets comments while its request is queued or its prompt is read") {
    SlowServer server;
    const std::pair<const char*, const char*> requests[] = {
        {"/v1/completions", R"({"model":"slow","prompt":"x","stream":true})"},
        {"/v1/chat/completions", R"({"model":"slow","messages":[{"role":"user","content":"x"}],"stream":true})"},
        {"/v1/responses", R"({"model":"slow","input":"x","stream":true})"},
        {"/v1/messages", R"({"model":"slow","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stream":true})"}};
    for (const auto& [path, body] : requests) {
        CAPTURE(path);
        TestClient client = server.running.connect();
        client.post(path, body);
        const std::string text = client.read_to("0\r\n\r\n");
        const size_t n_comments = [&] {
            size_t n = 0;
            for (size_t at = 0; (at = std::min(text.find("\n:", at), text.find("event: ping", at))) != std::string::npos; ++at) ++n;
            return n;
        }();
        CHECK(n_comments >= 3);
        CHECK(text.find("H") != std::string::npos);
    }
}

TEST_CASE("a stream gets comments while another model ends its answers to make room") {
    SlowServer server;
    TestClient busy = server.running.connect(), waiting = server.running.connect();
    busy.post("/v1/completions", R"({"model":"slow","prompt":"x","stream":true})");
    busy.read_to("\r\n\r\n");
    waiting.post("/v1/completions", R"({"model":"other","prompt":"x","stream":true})");
    CHECK(waiting.read_to(": waiting\n\n").find("text/event-stream") != std::string::npos);
    CHECK(busy.read_to("0\r\n\r\n").find("[DONE]") != std::string::npos);
    CHECK(waiting.read_to("0\r\n\r\n").find("[DONE]") != std::string::npos);
}

TEST_CASE("the time-out counts from the request, whatever it waits for") {
    SlowServer server(200ms);
    TestClient busy = server.running.connect(), waiting = server.running.connect(), plain = server.running.connect();
    busy.post("/v1/completions", R"({"model":"slow","prompt":"x","stream":true})");
    busy.read_to("\r\n\r\n");
    const ModelLease held = server.store.find_loaded("slow");
    waiting.post("/v1/completions", R"({"model":"other","prompt":"x","stream":true})");
    plain.post("/v1/completions", R"({"model":"other","prompt":"x"})");
    CHECK(busy.read_to("0\r\n\r\n").find("\"code\":\"timeout\"") != std::string::npos);
    CHECK(waiting.read_to("0\r\n\r\n").find("\"code\":\"timeout\"") != std::string::npos);
    const std::string late = plain.read_response();
    CHECK(late.find("HTTP/1.1 504") != std::string::npos);
    CHECK(late.find("x-should-retry: false") != std::string::npos);
}

TEST_CASE("an error that comes after comments is an event that the API's clients know") {
    SlowServer server(200ms);
    TestClient busy = server.running.connect(), messages = server.running.connect(), chat = server.running.connect();
    TestClient response = server.running.connect();
    busy.post("/v1/completions", R"({"model":"slow","prompt":"x","stream":true})");
    busy.read_to("\r\n\r\n");
    const ModelLease held = server.store.find_loaded("slow");
    messages.post("/v1/messages", R"({"model":"other","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stream":true})");
    chat.post("/v1/chat/completions", R"({"model":"other","messages":[{"role":"user","content":"x"}],"stream":true})");
    response.post("/v1/responses", R"({"model":"other","input":"x","stream":true})");
    const std::string named = messages.read_to("0\r\n\r\n"), plain = chat.read_to("0\r\n\r\n");
    CHECK(named.find(": waiting\n\n") != std::string::npos);
    CHECK(named.find("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":") != std::string::npos);
    CHECK(plain.find(": waiting\n\n") != std::string::npos);
    CHECK(plain.find("data: {\"error\":{\"message\":") != std::string::npos);
    CHECK(plain.find("event:") == std::string::npos);
    const std::string numbered = response.read_to("0\r\n\r\n");
    CHECK(numbered.find("event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"code\":\"timeout\",\"message\":") !=
          std::string::npos);
    CHECK(numbered.find("\"param\":null}\n\n") != std::string::npos);
}
