// The HTTP layer over real sockets, with a service that needs no engine.
#include "server/http/server.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "server/http/echo_service_test.h"
#include "server/http/test_client_test.h"

using namespace quern;
TEST_CASE("requests on one connection are answered in order, also when they arrive together") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.send(
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /late HTTP/1.1\r\nHost: "
        "x\r\n\r\nHEAD /c HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(contains(client.read_response(), "GET /a 0"));
    CHECK(contains(client.read_response(), "POST /b 3"));
    CHECK(contains(client.read_response(), "late"));
    const std::string head = client.read_to("\r\n\r\n");
    CHECK(contains(head, "Content-Length: 9"));
    client.get("/d");
    CHECK(client.read_response().starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("every answer has an id, the client's own when it is plain") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.get("/", "X-Request-Id: abc-1\r\n");
    CHECK(contains(client.read_response(), "x-request-id: abc-1\r\n"));
    client.get("/", "X-Request-Id: a b\r\n");
    CHECK(contains(client.read_response(), "x-request-id: req_"));
}

TEST_CASE("bodies may come in chunks and in single bytes") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.send("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: 1\r\n\r\n");
    CHECK(contains(client.read_response(), "POST /x 5"));
    for (const char c : std::string("POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd")) {
        client.send({&c, 1});
        std::this_thread::sleep_for(1ms);
    }
    CHECK(contains(client.read_response(), "POST /y 4"));
}

TEST_CASE("a client that waits for leave to send its body gets it") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.read_to("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abcd");
    CHECK(contains(client.read_response(), "POST /x 4"));
}

TEST_CASE("a compressed body is a 415 that names the header") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\nabcd");
    const std::string answer = client.read_all();
    CHECK(answer.starts_with("HTTP/1.1 415 Unsupported Media Type"));
    CHECK(contains(answer, "Content-Encoding"));
    for (const char* harmless : {"identity", "Identity", ""}) {
        TestClient other = running.connect();
        other.send(concat("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Encoding: ", harmless, "\r\n\r\nabcd"));
        CHECK(contains(other.read_response(), "POST /x 4"));
    }
}

TEST_CASE("a body over the limit is a 413 that the client gets to see, however it is sent") {
    EchoService service;
    RunningServer running(service, quick_limits());
    const std::string big(20 << 20, 'x');
    SUBCASE("with its length") {
        TestClient client = running.connect();
        client.post("/x", big);
        CHECK(contains(client.read_all(), "HTTP/1.1 413"));
    }
    SUBCASE("in chunks") {
        TestClient client = running.connect();
        client.send("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 40; ++i) client.send("80000\r\n" + big.substr(0, 0x80000) + "\r\n");
        client.send("0\r\n\r\n");
        CHECK(contains(client.read_all(), "HTTP/1.1 413"));
    }
    SUBCASE("before it is sent") {
        TestClient client = running.connect();
        client.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n");
        CHECK(client.read_all().starts_with("HTTP/1.1 413"));
    }
    SUBCASE("refused for another reason") {
        TestClient client = running.connect();
        client.post("/refused", big.substr(0, 1 << 20));
        CHECK(contains(client.read_all(), "HTTP/1.1 401"));
    }
}

TEST_CASE("all bodies together are bounded") {
    HttpLimits limits = quick_limits();
    limits.bodies_bytes = 1 << 19;
    EchoService service;
    RunningServer running(service, limits);
    TestClient client = running.connect();
    client.post("/x", std::string(1 << 20, 'x'));
    CHECK(contains(client.read_all(), "HTTP/1.1 503"));
    TestClient next = running.connect();
    next.post("/x", std::string(1 << 18, 'x'));
    CHECK(contains(next.read_response(), "HTTP/1.1 200"));
}

TEST_CASE("a malformed request is a 400, and the next client is served") {
    EchoService service;
    RunningServer running(service, quick_limits());
    for (const char* bad :
         {"nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        TestClient client = running.connect();
        client.send(bad);
        CAPTURE(bad);
        CHECK(client.read_to("\r\n").starts_with("HTTP/1.1 400"));
    }
    TestClient client = running.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
    CHECK(client.read_to("\r\n").starts_with("HTTP/1.1 431"));
    TestClient good = running.connect();
    good.get("/");
    CHECK(contains(good.read_response(), "HTTP/1.1 200"));
}

TEST_CASE("slow senders are turned away in time") {
    EchoService service;
    RunningServer running(service, quick_limits());
    TestClient slow_head = running.connect(), slow_body = running.connect(), idle = running.connect();
    slow_body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
    bool is_taken = true;
    for (int i = 0; i < 100 && is_taken; ++i) {
        is_taken = slow_head.send(i == 0 ? "GET / HTTP/1.1\r\nHost: x\r\nX: " : "x");
        std::this_thread::sleep_for(10ms);
        if (i == 40) break;
    }
    CHECK(slow_head.read_to("\r\n").starts_with("HTTP/1.1 408"));
    CHECK(slow_body.read_to("\r\n").starts_with("HTTP/1.1 408"));
    CHECK(idle.read_all(3s) == "");
}

TEST_CASE("a thousand idle connections do not keep a client waiting") {
    EchoService service;
    RunningServer running(service);
    std::vector<TestClient> idle;
    for (int i = 0; i < 400; ++i) idle.push_back(running.connect());  // two descriptors each, of the 1024 a test may have
    TestClient client = running.connect();
    const auto start = std::chrono::steady_clock::now();
    client.get("/");
    CHECK(contains(client.read_response(), "HTTP/1.1 200"));
    CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("an exception is a 500 and nothing else suffers") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.get("/throw");
    CHECK(contains(client.read_response(), "HTTP/1.1 500"));
    client.post("/throw", "x");
    CHECK(contains(client.read_response(), "HTTP/1.1 500"));
    client.get("/");
    CHECK(contains(client.read_response(), "HTTP/1.1 200"));
}

TEST_CASE("events arrive as they are made, and the connection serves on") {
    EchoService service;
    RunningServer running(service);
    TestClient client = running.connect();
    client.get("/events");
    const std::string events = client.read_to("0\r\n\r\n");
    CHECK(contains(events, "Content-Type: text/event-stream\r\n"));
    CHECK(contains(events, "data: 3\n\n"));
    CHECK(contains(events, "data: 1\n\n"));
    client.get("/");
    CHECK(contains(client.read_response(), "HTTP/1.1 200"));
    TestClient old = running.connect();
    old.send("GET /events HTTP/1.0\r\n\r\n");
    const std::string plain = old.read_all();
    CHECK(plain.ends_with("\r\n\r\ndata: 3\n\ndata: 2\n\ndata: 1\n\n"));
}

TEST_CASE("a silent stream gets comments, and a failed one an error event") {
    EchoService service;
    RunningServer running(service, quick_limits());
    TestClient silent = running.connect();
    silent.get("/silent");
    silent.read_to(": still working\n\n");
    silent.read_to(": still working\n\n");
    TestClient broken = running.connect();
    broken.get("/broken");
    CHECK(contains(broken.read_to("0\r\n\r\n"), "data: {\"error\":{"));
}

TEST_CASE("a client that closes ends its answer, and a slow reader does not make one pile up") {
    EchoService service;
    RunningServer running(service);
    for (const char* path : {"/never", "/silent", "/endless"}) {
        TestClient client = running.connect();
        client.get(path);
        REQUIRE(comes_true([&] { return service.n_alive == 1; }));
        std::this_thread::sleep_for(20ms);
        CHECK(service.n_alive == 1);
        client.close();
        CHECK(comes_true([&] { return service.n_alive == 0; }));
    }
}

TEST_CASE("a reader that takes nothing is cut off") {
    HttpLimits limits = quick_limits();
    limits.write_time = 100ms;
    EchoService service;
    RunningServer running(service, limits);
    TestClient client = running.connect();
    client.get("/endless");
    REQUIRE(comes_true([&] { return service.n_made == 1; }));
    CHECK(comes_true([&] { return service.n_alive == 0; }));
}

TEST_CASE("stopping lets answers end and takes no new clients") {
    EchoService service;
    RunningServer running(service, quick_limits());
    TestClient client = running.connect(), idle = running.connect();
    client.get("/late");
    REQUIRE(comes_true([&] { return service.n_alive == 1; }));
    running.server().stop();
    const std::string response = client.read_response();
    CHECK(contains(response, "late"));
    CHECK(contains(response, "Connection: close"));
    CHECK(idle.read_all() == "");
    running.wait_for_end();
    CHECK_THROWS(running.connect());
}

TEST_CASE("an answer that outlives the stop ends with an error") {
    EchoService service;
    RunningServer running(service, quick_limits());
    TestClient plain = running.connect(), stream = running.connect();
    plain.get("/never");
    stream.get("/silent");
    REQUIRE(comes_true([&] { return service.n_alive == 2; }));
    running.server().stop();
    CHECK(contains(plain.read_all(), "HTTP/1.1 503"));
    CHECK(contains(stream.read_all(), "shutting_down"));
    running.wait_for_end();
}

TEST_CASE("a stop lets answers end, and a stop at once does not") {
    EchoService service;
    HttpServer server({.host = "127.0.0.1", .port = 0}, service);
    std::thread thread([&] { server.run(); });
    TestClient client(server.port());
    client.get("/never");
    REQUIRE(comes_true([&] { return service.n_alive == 1; }));
    server.stop();
    std::this_thread::sleep_for(50ms);
    CHECK(service.n_alive == 1);
    server.stop_now();
    thread.join();
    CHECK(service.n_alive == 0);
}

TEST_CASE("a server that was stopped before it ran ends at once, and its socket's file is gone") {
    EchoService service;
    const std::string path = (std::filesystem::temp_directory_path() / concat("quern-", getpid(), ".sock")).string();
    HttpServer server({.host = path}, service);
    CHECK(std::filesystem::exists(path));
    server.stop();
    server.run();
    CHECK(!std::filesystem::exists(path));
}

TEST_CASE("a stop ends a server that has nothing to do") {
    EchoService service;
    HttpServer server({.host = "127.0.0.1", .port = 0}, service);
    std::thread thread([&] { server.run(); });
    {
        TestClient client(server.port());
        client.get("/");
        client.read_response();
    }
    std::this_thread::sleep_for(20ms);
    const auto start = std::chrono::steady_clock::now();
    server.stop();
    thread.join();
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("a taken port is said") {
    EchoService service;
    HttpServer first({.host = "127.0.0.1", .port = 0}, service);
    CHECK_THROWS_AS(HttpServer({.host = "127.0.0.1", .port = first.port()}, service), DeviceError);
    CHECK_THROWS_AS(HttpServer({.host = "no such host", .port = 0}, service), InvalidInput);
}

TEST_CASE("loopback addresses are told from others") {
    CHECK(is_loopback("127.0.0.1"));
    CHECK(is_loopback("::1"));
    CHECK(!is_loopback("0.0.0.0"));
    CHECK(!is_loopback("::"));
}
