#include "server/access.h"

#include <doctest/doctest.h>

#include "server/http/errors.h"

using namespace quern;

namespace {

int status(const AccessRules& rules, const std::string& path, const HttpHeaders& headers) {
    try {
        rules.check({.method = "GET", .path = path, .headers = headers});
        return 200;
    } catch (const ApiError& error) {
        return error.details().status;
    }
}

}  // namespace

TEST_CASE("with keys, everything but the health check needs one of them") {
    const AccessRules rules({"secret", "other"}, "127.0.0.1", true);
    for (const char* path : {"/v1/models", "/v1/chat/completions", "/nowhere", "/health/x"}) {
        CHECK(status(rules, path, {}) == 401);
        CHECK(status(rules, path, {{"Authorization", "Bearer wrong"}}) == 401);
        CHECK(status(rules, path, {{"Authorization", "Bearer "}}) == 401);
        CHECK(status(rules, path, {{"Authorization", "secret"}}) == 401);
        CHECK(status(rules, path, {{"Authorization", "Bearer secretx"}}) == 401);
        CHECK(status(rules, path, {{"X-Api-Key", ""}}) == 401);
        CHECK(status(rules, path, {{"Authorization", "Bearer secret"}}) == 200);
        CHECK(status(rules, path, {{"authorization", "bearer  other"}}) == 200);
        CHECK(status(rules, path, {{"x-api-key", "other"}}) == 200);
    }
    CHECK(status(rules, "/health", {}) == 200);
    CHECK(status(rules, "/v1/health", {}) == 200);
    CHECK(status(rules, "/v1/models", {{"Host", "gate.example"}, {"X-Api-Key", "secret"}}) == 200);
}

TEST_CASE("without keys, a local server answers only to its own names") {
    const AccessRules rules({}, "my.local.name", true);
    for (const char* host :
         {"localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:80", "[::1]", "app.localhost", "my.local.name:80"})
        CHECK(status(rules, "/v1/models", {{"Host", host}}) == 200);
    for (const char* host :
         {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:127", "", "192.168.0.2", "127.x.0.1", "[::2]"})
        CHECK(status(rules, "/v1/models", {{"Host", host}}) == 403);
    CHECK(status(rules, "/v1/models", {}) == 200);  // HTTP/1.0; browsers always send one
}

TEST_CASE("without keys, pages of other sites are refused") {
    const AccessRules rules({}, "127.0.0.1", true);
    const auto with_origin = [&](const char* origin) { return status(rules, "/v1/models", {{"Host", "localhost"}, {"Origin", origin}}); };
    CHECK(with_origin("http://localhost:3000") == 200);
    CHECK(with_origin("vscode-webview://abc") == 200);
    CHECK(with_origin("https://evil.example") == 403);
    CHECK(with_origin("http://localhost.evil.example") == 403);
    CHECK(with_origin("null") == 403);
}

TEST_CASE("a server that is open on purpose does not ask for names") {
    CHECK(status(AccessRules({}, "0.0.0.0", false), "/v1/models", {{"Host", "anything"}}) == 200);
}
