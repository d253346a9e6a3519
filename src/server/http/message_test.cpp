#include "server/http/message.h"

#include <doctest/doctest.h>

#include "engine/engine.h"
#include "server/http/errors.h"
#include "server/http/json_body.h"

using namespace quern;

namespace {

int status_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const ApiError& error) {
        return error.details().status;
    }
    return 200;
}

int status_of_body(const std::string& body) {
    return status_of([&] { parse_json_body(body); });
}

Json error_of(const HttpResponse& response) { return Json::parse(response.body)["error"]; }

template <typename Exception>
HttpResponse response_to(const Exception& exception) {
    return error_response(to_api_error(std::make_exception_ptr(exception), "id"));
}

}  // namespace

TEST_CASE("a path is decoded once and loses its query and its origin") {
    CHECK(decode_path("/v1/models/a%2Fb%3Ac?x=%zz") == "/v1/models/a/b:c");
    CHECK(decode_path("/a%252Fb") == "/a%2Fb");
    CHECK(decode_path("http://host:1/v1/models") == "/v1/models");
    CHECK(decode_path("http://host") == "/");
    CHECK(decode_path("/a://b") == "/a://b");
    for (const char* bad : {"/%", "/%4", "/%zz", "/%4g"}) CHECK(!decode_path(bad));
}

TEST_CASE("header names are found in any case, and the first one counts") {
    const HttpRequest request{.headers = {{"X-Api-Key", "a"}, {"x-api-key", "b"}}};
    CHECK(request.header("X-API-KEY") == "a");
    CHECK(!request.header("x-api-ke"));
}

TEST_CASE("a body that is no JSON object is a 400") {
    for (const char* bad : {"", "  ", "{", "nonsense", "[1]", "1", "null", "{\"a\":NaN}", "{\"a\":1e999}", "{\"a\":1}x", "{'a':1}",
                            "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":1,}"})
        CHECK(status_of_body(bad) == 400);
    CHECK(status_of_body("{\"a\":\"\\u0000\xe5\x86\x99\"}") == 200);
}

TEST_CASE("depth, count and keys of a body are bounded before it is parsed") {
    const auto nested = [](size_t depth) { return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}"; };
    CHECK(status_of_body(nested(63)) == 200);
    CHECK(status_of_body(nested(64)) == 400);
    CHECK(status_of_body(nested(3000)) == 400);
    CHECK(status_of_body(std::string(10'000'000, '[')) == 400);
    CHECK(status_of_body("{\"a\":\"" + std::string(3000, '[') + "\"}") == 200);
    CHECK(status_of_body("{\"a\":\"\\\"" + std::string(3000, '[') + "\"}") == 200);
    std::string many = "{\"a\":[0";
    for (int i = 0; i < 4'000'001; ++i) many += ",0";
    CHECK(status_of_body(many + "]}") == 400);
    std::string keys = "{\"k\":0";
    for (int i = 0; i < 40'000; ++i) keys += ",\"k" + std::to_string(i) + "\":0";
    CHECK(status_of_body(keys + "}") == 400);
}

TEST_CASE("the last of equal keys counts") { CHECK(parse_json_body("{\"a\":1,\"a\":2}")["a"] == 2); }

TEST_CASE("each kind of exception has its status, code and param") {
    const HttpResponse invalid = response_to(InvalidInput("wrong", "top_p"));
    CHECK(invalid.status == 400);
    CHECK(error_of(invalid) ==
          Json({{"message", "wrong"}, {"type", "invalid_request_error"}, {"param", "top_p"}, {"code", "invalid_value"}}));
    const HttpResponse overflow = response_to(ContextOverflow("too long", "prompt"));
    CHECK(overflow.status == 400);
    CHECK(error_of(overflow)["code"] == "context_length_exceeded");
    const HttpResponse busy = response_to(EngineBusy("later"));
    CHECK(busy.status == 429);
    CHECK(busy.headers == HttpHeaders{{"Retry-After", "1"}});
    CHECK(response_to(DeviceError("no memory")).status == 500);
    CHECK(response_to(std::bad_alloc()).status == 500);
    const HttpResponse ours = response_to(InternalError("secret.cpp:12"));
    CHECK(ours.status == 500);
    CHECK(ours.body.find("secret") == std::string::npos);
    CHECK(response_to(std::runtime_error("secret")).body.find("secret") == std::string::npos);
    CHECK(error_of(response_to(InvalidInput("\xff\n")))["message"] == "\\xff\\n");
}

TEST_CASE("a query's values are found by name and percent-decoded") {
    CHECK(query_value("model=a%2Fb&x=1", "model") == "a/b");
    CHECK(query_value("model=a&x=", "x") == "");
    CHECK(query_value("flag", "flag") == "");
    CHECK(!query_value("models=a", "model"));
    CHECK(!query_value("", "model"));
    CHECK(!query_value("model=%zz", "model"));
}
