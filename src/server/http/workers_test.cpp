// Who gets a worker, and what becomes of those who wait for one.
#include <doctest/doctest.h>

#include "server/http/echo_service_test.h"
#include "server/http/test_client_test.h"

using namespace quern;

TEST_CASE("requests with large bodies never take all workers") {
    EchoService service;
    HttpLimits limits = quick_limits();
    limits.large_body_bytes = 100;
    RunningServer running(service, limits);
    std::vector<TestClient> large;
    for (int i = 0; i < 2 * limits.n_workers; ++i) {
        large.push_back(running.connect());
        large.back().post("/busy", std::string(101, 'x'));
    }
    TestClient small = running.connect(), gone = running.connect();
    REQUIRE(comes_true([&] { return service.n_workers == limits.n_large_workers; }));
    gone.post("/busy", std::string(101, 'x'));
    gone.close();
    small.post("/small", std::string(100, 'x'));
    CHECK(contains(small.read_response(), "POST /small 100"));
    CHECK(service.n_workers == limits.n_large_workers);
    service.may_end = true;
    for (TestClient& client : large) CHECK(contains(client.read_response(), "was busy"));
}

TEST_CASE("a stop does not wait for requests that have no worker yet") {
    EchoService service;
    RunningServer running(service, quick_limits());
    std::vector<TestClient> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(running.connect());
        clients.back().post("/busy", "x");
    }
    REQUIRE(comes_true([&] { return service.n_workers == HttpLimits().n_workers && service.n_heads == 20; }));
    running.server().stop();
    std::this_thread::sleep_for(quick_limits().stop_time + 100ms);
    service.may_end = true;
    int n_answered = 0, n_refused = 0;
    for (TestClient& client : clients) {
        const std::string answer = client.read_all();
        n_answered += contains(answer, "was busy");
        n_refused += contains(answer, "HTTP/1.1 503") && contains(answer, "Retry-After");
    }
    CHECK(n_answered == HttpLimits().n_workers);
    CHECK(n_refused == 20 - n_answered);
    running.wait_for_end();
}
