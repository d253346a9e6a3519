#include "tools/bench/server_url.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace quern {

TEST_CASE("a server's URL is taken apart") {
    ServerUrl url = parse_server_url("http://127.0.0.1:8080");
    CHECK(!url.is_tls);
    CHECK(url.host == "127.0.0.1");
    CHECK(url.port == 8080);
    CHECK(url.base_path.empty());
    url = parse_server_url("https://example.org/llm/v1/");
    CHECK(url.is_tls);
    CHECK(url.port == 443);
    CHECK(url.base_path == "/llm");
    url = parse_server_url("localhost:9000/v1");
    CHECK(url.host == "localhost");
    CHECK(url.port == 9000);
    CHECK(url.base_path.empty());
    url = parse_server_url("http://[::1]:81");
    CHECK(url.host == "::1");
    CHECK(url.port == 81);
    CHECK(parse_server_url("http://host").port == 80);
    CHECK(parse_server_url("unix:/run/quern.sock").unix_socket == "/run/quern.sock");
    CHECK(parse_server_url("unix:///run/quern.sock").unix_socket == "/run/quern.sock");
}

TEST_CASE("what is no URL of a server is refused with what it should be") {
    for (const char* text :
         {"", "http://", "http://:80", "http://a:b", "http://a:0", "http://a:65536", "http://a:8o", "http://a:", "ftp://a", "http://a b",
          "http://[::1", "http://[::1]x", "http://u:p@host:80", "http://u@host", "http://a?x", "http://a/#x", "http://a\r\nX: y", "unix:"})
        CHECK_THROWS_AS(parse_server_url(text), InvalidInput);
    CHECK_THROWS_AS(parse_server_url("unix:" + std::string(200, 'a')), InvalidInput);
}

}  // namespace quern
