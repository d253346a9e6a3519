// How an endpoint answers: at once, later, or with a stream of events. The connection asks; nothing here waits or knows sockets.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "server/http/message.h"

namespace quern {

/// Asks the connection to poll its answer again. Any thread; returns at once; does nothing once the answer is over.
using Waker = std::function<void()>;

/// One response that takes time. Destroyed early when the client goes away: that must stop the work behind it.
class PendingResponse {
  public:
    virtual ~PendingResponse() = default;
    /// The response when it is ready. What it throws is answered as errors.h says.
    virtual std::optional<HttpResponse> poll() = 0;
};

/// Events, ready to be written.
struct EventBatch {
    std::string text;
    bool is_last = false;
};

/// An answer in pieces, usually server-sent events. Polled again only after the client has taken what there was, so a slow reader gets
/// fewer, longer events and nothing piles up. Destroyed early when the client goes away.
class EventSource {
  public:
    virtual ~EventSource() = default;
    /// What there is to send, possibly nothing yet. What it throws ends the stream with error_text().
    virtual EventBatch poll() = 0;
    virtual const char* content_type() const { return "text/event-stream"; }
    /// What a silent stream sends from time to time; "" when the format has nothing that says nothing.
    virtual std::string keep_alive() const { return ": still working\n\n"; }
    /// The last words of a stream that has failed; "": those of HttpService::error_event().
    virtual std::string error_text(std::exception_ptr, std::string_view /*request_id*/) const { return {}; }
};

class DeferredAnswer;
using Answer = std::variant<HttpResponse, std::unique_ptr<PendingResponse>, std::unique_ptr<EventSource>, std::unique_ptr<DeferredAnswer>>;

/// An answer that cannot be made yet, because its model is still being loaded, say.
class DeferredAnswer {
  public:
    virtual ~DeferredAnswer() = default;
    /// Quick; polled on an I/O thread after each wake.
    virtual bool is_ready() = 0;
    /// Once is_ready(): like HttpService::answer, on a worker thread.
    virtual Answer make() = 0;
    /// The client expects server-sent events, so that comments may keep the connection open until then.
    virtual bool is_stream() const = 0;
};

/// One request as the access log tells it: never what was asked or answered.
struct AccessRecord {
    std::string id, method, path, remote;
    const Endpoint* endpoint = nullptr;  ///< as in its HttpRequest
    int status = 0;
    bool is_complete = false;  ///< the client took the whole answer
    uint64_t n_request_bytes = 0, n_response_bytes = 0;
    std::chrono::microseconds time{0};
};

/// What the server serves.
class HttpService {
  public:
    virtual ~HttpService() = default;

    /// Looks at a request before its body is read, and notes its endpoint: nothing to go on, else the refusal. On an I/O thread: quick.
    virtual std::optional<HttpResponse> refuse(HttpRequest& head) = 0;
    /// Answers what was not refused. On a worker thread, several at once: may take its time, but not for as long as a generation does.
    virtual Answer answer(const HttpRequest& request, const Waker& wake) = 0;

    /// Whether answer() takes its time although the request has no body. On an I/O thread: quick.
    virtual bool is_slow(const HttpRequest&) const { return false; }

    /// Headers that every answer to this request gets. On an I/O thread: quick.
    virtual HttpHeaders headers_for(const HttpRequest&) { return {}; }
    /// An exception as the answer to a request.
    virtual HttpResponse error(std::exception_ptr error, const AccessRecord& request);
    /// The same as the last event of a stream that has begun.
    virtual std::string error_event(std::exception_ptr error, const AccessRecord& request);
    /// Called once for every request when it is over. On an I/O thread: quick.
    virtual void on_served(const AccessRecord&) {}
};

}  // namespace quern
