// Requests to the API and its answers without a socket, for the tests of the endpoints.
#pragma once

#include "server/api_service.h"
#include "server/fake_engine_test.h"
#include "server/http/errors.h"

namespace quern {

/// The API with one fake model, called "fake".
class ApiClient {
  public:
    explicit ApiClient(FakeEngine::Script script = {}) {
        auto made = std::make_unique<FakeEngine>(std::move(script));
        engine_ = made.get();
        store_.add(std::move(made), "models/fake.gguf", "");
        service_ = std::make_unique<ApiService>(store_, ServiceOptions{.access = AccessRules({}, "localhost", true)});
    }

    FakeEngine& engine() { return *engine_; }
    ModelStore& store() { return store_; }
    ApiService& service() { return *service_; }

    HttpResponse send(const std::string& method, const std::string& path, const std::string& body = "") {
        HttpRequest request{.method = method, .path = path, .headers = {{"Host", "localhost"}}, .body = body, .id = "test"};
        try {
            if (auto refusal = service_->refuse(request)) return *refusal;
            Answer answer = service_->answer(request, [] {});
            while (auto* deferred = std::get_if<std::unique_ptr<DeferredAnswer>>(&answer)) {
                while (!(*deferred)->is_ready()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                answer = Answer((*deferred)->make());
            }
            if (auto* response = std::get_if<HttpResponse>(&answer)) return *response;
            if (auto* events = std::get_if<std::unique_ptr<EventSource>>(&answer)) return collect(**events);
            for (;;) {
                if (auto response = std::get<std::unique_ptr<PendingResponse>>(answer)->poll()) return settle(answer, *response);
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        } catch (...) {
            return service_->error(std::current_exception(), {.id = "test", .path = path, .endpoint = request.endpoint});
        }
    }

    HttpResponse chat(const std::string& body) { return send("POST", "/v1/chat/completions", body); }
    HttpResponse complete(const std::string& body) { return send("POST", "/v1/completions", body); }

    /// The data of each event of a stream.
    static std::vector<std::string> events(const HttpResponse& response) {
        std::vector<std::string> out;
        for (size_t at = 0; at < response.body.size();) {
            const size_t end = response.body.find("\n\n", at);
            out.push_back(response.body.substr(at + 6, end - at - 6));
            at = end + 2;
        }
        return out;
    }

  private:
    static HttpResponse settle(Answer& answer, HttpResponse response) {
        answer = HttpResponse{};
        return response;
    }
    static HttpResponse collect(EventSource& source) {
        HttpResponse response{.content_type = "text/event-stream"};
        for (;;) {
            EventBatch batch = source.poll();
            response.body += batch.text;
            if (batch.is_last) return response;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    ModelStore store_;
    FakeEngine* engine_;
    std::unique_ptr<ApiService> service_;
};

}  // namespace quern
