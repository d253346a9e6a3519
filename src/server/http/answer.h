// How an endpoint answers: at once, later, or with a stream of events. The connection asks; nothing here waits or knows sockets.
#pragma once

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

/// Server-sent events, ready to be written.
struct EventBatch {
    std::string text;
    bool is_last = false;
};

/// An answer as server-sent events. Polled again only after the client has taken what there was, so a slow reader gets fewer, longer
/// events and nothing piles up. Destroyed early when the client goes away.
class EventSource {
  public:
    virtual ~EventSource() = default;
    /// What there is to send, possibly nothing yet. What it throws becomes an error event, and the stream ends.
    virtual EventBatch poll() = 0;
};

using Answer = std::variant<HttpResponse, std::unique_ptr<PendingResponse>, std::unique_ptr<EventSource>>;

/// What the server serves.
class HttpService {
  public:
    virtual ~HttpService() = default;

    /// Looks at a request before its body is read: nothing to go on, else the refusal. On an I/O thread: quick.
    virtual std::optional<HttpResponse> refuse(const HttpRequest& head) = 0;
    /// Answers. On a worker thread, several at once: may take its time, but not for as long as a generation does.
    virtual Answer answer(const HttpRequest& request, const Waker& wake) = 0;
};

}  // namespace quern
