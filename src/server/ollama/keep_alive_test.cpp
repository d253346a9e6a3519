#include "server/ollama/keep_alive.h"

#include <doctest/doctest.h>

#include "server/http/errors.h"
#include "server/openai/api_client_test.h"

using namespace quern;
using namespace std::chrono_literals;

namespace {

std::optional<std::chrono::milliseconds> read(const char* value) {
    const Json body = Json::parse(concat("{\"keep_alive\":", value, "}"));
    return read_keep_alive(RequestFields(body, {}));
}

}  // namespace

TEST_CASE("keep_alive is a number of seconds or one of Go's durations") {
    CHECK(!read("null"));
    CHECK(read("300") == 300s);
    CHECK(read("0.5") == 500ms);
    CHECK(read("\"5m\"") == 300s);
    CHECK(read("\"1h30m\"") == 90min);
    CHECK(read("\"1.5h\"") == 90min);
    CHECK(read("\"250ms\"") == 250ms);
    CHECK(read("\"300\"") == 300s);
    for (const char* none : {"0", "0.0", "\"0\"", "\"0s\"", "\"-0m\""}) CHECK(read(none) == 0ms);
    for (const char* endless : {"-1", "\"-1\"", "\"-1m\"", "1e300", "\"999999999999999999999999h\"", "\"99999999999999999999999999\""})
        CHECK(read(endless) == ModelStore::forever);
}

TEST_CASE("what is no duration is refused") {
    for (const char* bad : {"true", "[]", "{}", "\"\"", "\"m\"", "\"5x\"", "\"5 m\"", "\"--5m\"", "\"5m-3s\"", "\"nan\"", "\"infs\"",
                            "\"1e5s\"", "\"5m\\u0000\""}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(read(bad), ApiError);
    }
    ApiClient api;
    for (const char* path : {"/api/chat", "/api/generate", "/api/embed", "/api/embeddings"})
        CHECK(api.send("POST", path, R"({"keep_alive":"soon","input":"x"})").status == 400);
}

TEST_CASE("Ollama's fields that would change the answer are refused") {
    ApiClient api;
    CHECK(api.send("POST", "/api/chat", R"({"messages":[{"role":"user","content":"x"}],"template":"y"})").status == 400);
    CHECK(api.send("POST", "/api/generate", R"({"prompt":"x","template":"y"})").status == 400);
    CHECK(api.send("POST", "/api/embed", R"({"input":"x","options":5})").status == 400);
    CHECK(api.send("POST", "/api/chat", R"({"messages":[{"role":"user","content":"x"}],"think":true})").status == 400);
    CHECK(api.send("POST", "/api/chat", R"({"messages":[{"role":"user","content":"x"}],"think":false,"template":"","stream":false})")
              .status == 200);
}

TEST_CASE("without keys nobody unloads a model by keep_alive") {
    ApiClient api;
    const HttpResponse asked = api.send("POST", "/api/generate", R"({"keep_alive":0})");
    CHECK(asked.status == 200);
    CHECK(Json::parse(asked.body)["done_reason"] == "load");
    CHECK(api.send("POST", "/api/generate", R"({"keep_alive":0,"prompt":"x","stream":false})").status == 200);
    CHECK(api.store().status("fake").state == ModelState::loaded);
    CHECK(api.send("POST", "/api/generate", R"({"keep_alive":0,"model":"nope"})").status == 404);
    for (const char* bad : {R"("think":{})", R"("options":{"temperature":"x"})", R"("stream":5)", R"("prompt":{})"})
        CHECK(api.send("POST", "/api/generate", concat("{\"keep_alive\":0,", bad, "}")).status == 400);
    CHECK(api.send("POST", "/api/chat", R"({"keep_alive":0,"messages":{}})").status == 400);
}
