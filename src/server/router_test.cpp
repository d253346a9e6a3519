#include "server/router.h"

#include <doctest/doctest.h>

#include "server/api_service.h"
#include "server/fake_loader_test.h"

using namespace quern;

namespace {

Endpoint endpoint(const char* method, const char* path, ErrorShape errors = ErrorShape::openai) {
    Endpoint made{.path = path, .tag = "", .summary = "", .answer = nullptr};
    made.method = method;
    made.errors = errors;
    return made;
}

}  // namespace

TEST_CASE("a route's parameter takes the rest of the path with its slashes") {
    const Endpoint table[] = {endpoint("GET", "/v1/models"), endpoint("GET", "/v1/models/{id}"), endpoint("POST", "/v1/completions")};
    const Router router(table);
    CHECK(router.match("GET", "/v1/models").parameter == "");
    CHECK(router.match("GET", "/v1/models/org/name:tag").parameter == "org/name:tag");
    CHECK(router.match("HEAD", "/v1/models").endpoint == &table[0]);
    CHECK(router.match("HEAD", "/v1/models").takes_method);
    for (const char* unknown : {"/v1/models/", "/v1/modelsx", ""}) {
        CHECK(router.match("GET", unknown).endpoint == nullptr);
        CHECK(router.refusal("GET", unknown).details().status == 404);
    }
    for (const char* method : {"GET", "HEAD"}) {
        CHECK(router.match(method, "/v1/completions").endpoint == &table[2]);
        CHECK(!router.match(method, "/v1/completions").takes_method);
        CHECK(router.refusal(method, "/v1/completions").details().status == 405);
    }
    CHECK(router.allowed_methods("/v1/models") == "GET, HEAD, OPTIONS");
    CHECK(router.allowed_methods("/nowhere") == "");
}

TEST_CASE("errors under unknown paths are worded as those of the endpoints around") {
    const Router router(endpoints());
    for (const char* path : {"/", "", "/nowhere", "/v1", "/v1/nothing", "/v1/messagesx", "/apix"})
        CHECK(router.errors_near(path) == ErrorShape::openai);
    CHECK(router.errors_near("/api/pull") == ErrorShape::ollama);
    CHECK(router.errors_near("/v1/messages/batches") == ErrorShape::anthropic);
}

TEST_CASE("only endpoints that answer with events begin them while their model is being loaded") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("slow"));
    ApiService service(store, {.access = AccessRules({}, "localhost", true)});
    int n_waiting = 0, n_streams = 0;
    for (const Endpoint& each : endpoints()) {
        if (std::string_view(each.method) != "POST" || each.is_hidden) continue;
        CAPTURE(each.path);
        HttpRequest request{.method = each.method,
                            .path = each.path,
                            .headers = {{"Host", "localhost"}},
                            .body = R"({"model":"slow","stream":true})",
                            .id = "test"};
        REQUIRE(!service.refuse(request));
        REQUIRE(request.endpoint == &each);
        try {
            const Answer answer = service.answer(request, [] {});
            const auto* deferred = std::get_if<std::unique_ptr<DeferredAnswer>>(&answer);
            if (deferred == nullptr) continue;
            ++n_waiting;
            n_streams += (*deferred)->is_stream() ? 1 : 0;
            CHECK((*deferred)->is_stream() == (each.stream_type == event_stream));
        } catch (const ApiError&) {  // wants no model
        }
    }
    CHECK(n_streams == 6);
    CHECK(n_waiting >= 20);
    fake.may_load = true;
}
