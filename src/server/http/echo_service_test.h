// A service that needs no engine, for the tests of http/.
#pragma once

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "server/http/errors.h"
#include "server/http/server.h"

namespace quern {

using namespace std::chrono_literals;

/// Answers at once, late, or with events, as the path says; counts what was dropped before its end.
class EchoService final : public HttpService {
  public:
    std::optional<HttpResponse> refuse(HttpRequest& head) override {
        ++n_heads;
        if (head.path == "/refused") return error_response(ApiError("no", {.status = 401}));
        return std::nullopt;
    }

    Answer answer(const HttpRequest& request, const Waker& wake) override {
        if (request.path == "/throw") throw std::runtime_error("unexpected");
        if (request.path == "/late") return std::make_unique<Late>(*this, wake);
        if (request.path == "/never") return std::make_unique<Never>(*this);
        if (request.path == "/events") return std::make_unique<Events>(*this, wake, 3);
        if (request.path == "/endless") return std::make_unique<Events>(*this, wake, -1);
        if (request.path == "/silent") return std::make_unique<Silent>(*this);
        if (request.path == "/busy") return keep_worker();
        if (request.path == "/broken") return std::make_unique<Broken>();
        return HttpResponse{.content_type = "text/plain",
                            .body = request.method + " " + request.path + " " + std::to_string(request.body.size())};
    }

    std::atomic<int> n_alive{0}, n_made{0};
    std::atomic<int> n_heads{0};    // of requests that have been read so far
    std::atomic<int> n_workers{0};  // that "/busy" keeps until it may end
    std::atomic<bool> may_end{false};

  private:
    HttpResponse keep_worker() {
        ++n_workers;
        while (!may_end) std::this_thread::sleep_for(1ms);
        --n_workers;
        return {.body = "was busy"};
    }
    struct Counted {
        explicit Counted(EchoService& service) : service_(service) {
            ++service_.n_alive;
            ++service_.n_made;
        }
        ~Counted() { --service_.n_alive; }
        EchoService& service_;
    };
    struct Late final : PendingResponse, Counted {
        Late(EchoService& service, Waker wake)
            : Counted(service), thread([this, wake = std::move(wake)] {
                  std::this_thread::sleep_for(30ms);
                  is_ready = true;
                  wake();
              }) {}
        std::optional<HttpResponse> poll() override { return is_ready ? std::optional(HttpResponse{.body = "late"}) : std::nullopt; }
        std::atomic<bool> is_ready{false};
        std::jthread thread;
    };
    struct Never final : PendingResponse, Counted {
        using Counted::Counted;
        std::optional<HttpResponse> poll() override { return std::nullopt; }
    };
    struct Events final : EventSource, Counted {
        Events(EchoService& service, Waker waker, int n) : Counted(service), wake(std::move(waker)), n_left(n) {}
        EventBatch poll() override {
            wake();
            if (n_left < 0) return {.text = "data: " + std::string(100'000, 'x') + "\n\n"};
            return {.text = "data: " + std::to_string(n_left) + "\n\n", .is_last = --n_left == 0};
        }
        Waker wake;
        int n_left;
    };
    struct Silent final : EventSource, Counted {
        using Counted::Counted;
        EventBatch poll() override { return {}; }
    };
    struct Broken final : EventSource {
        EventBatch poll() override { throw std::runtime_error("unexpected"); }
    };
};

inline HttpLimits quick_limits() {
    HttpLimits limits;
    limits.header_time = limits.body_pause = 200ms;
    limits.idle_time = 400ms;
    limits.event_pause = 50ms;
    limits.drain_time = 2000ms;
    limits.body_bytes = 1 << 20;
    limits.stop_time = 200ms;
    return limits;
}

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace quern
