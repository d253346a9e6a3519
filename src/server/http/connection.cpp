#include "server/http/connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/http/errors.h"

namespace quern {
namespace {

namespace asio = boost::asio;
using Clock = ByteChannel::Clock;

std::string chunk(std::string_view text) {
    std::ostringstream size;
    size << std::hex << text.size();
    return concat(size.str(), "\r\n", text, "\r\n");
}

ApiError stopping() { return ApiError("the server is shutting down", {.status = 503, .code = "shutting_down"}); }

}  // namespace

/// Lets other threads wake a connection for as long as it waits for an answer, and not a moment longer.
class Connection::WakeGate {
  public:
    explicit WakeGate(std::shared_ptr<Connection> connection) : shared_(std::make_shared<Shared>()) {
        shared_->connection = std::move(connection);
    }
    ~WakeGate() {
        const std::lock_guard lock(shared_->mutex);
        shared_->connection.reset();
    }
    WakeGate(const WakeGate&) = delete;
    WakeGate& operator=(const WakeGate&) = delete;

    Waker waker() const {
        return [shared = shared_] {
            const std::lock_guard lock(shared->mutex);
            if (!shared->connection || shared->is_posted) return;
            shared->is_posted = true;
            asio::post(shared->connection->channel_->executor(), [shared] { pass_on(*shared); });
        };
    }

  private:
    struct Shared {
        std::mutex mutex;
        std::shared_ptr<Connection> connection;
        bool is_posted = false;  // one message on its way is enough
    };

    static void pass_on(Shared& shared) {
        std::shared_ptr<Connection> connection;
        {
            const std::lock_guard lock(shared.mutex);
            shared.is_posted = false;
            connection = shared.connection;
        }
        if (!connection) return;
        connection->is_woken_ = true;
        connection->channel_->notify();
    }

    std::shared_ptr<Shared> shared_;
};

Connection::Connection(ByteChannel::Socket socket, ConnectionContext context)
    : channel_(std::make_shared<ByteChannel>(std::move(socket))), context_(context) {}

void Connection::on_strand(void (Connection::*action)()) {
    asio::post(channel_->executor(), [self = shared_from_this(), action] { (self.get()->*action)(); });
}

void Connection::finish_soon() { on_strand(&Connection::set_finishing); }
void Connection::break_off() { on_strand(&Connection::set_aborted); }
void Connection::close() { on_strand(&Connection::close_channel); }

void Connection::set_finishing() {
    is_finishing_ = true;
    if (is_between_requests_ && channel_->input().empty()) channel_->close();
}

void Connection::set_aborted() {
    is_aborted_ = is_finishing_ = true;
    if (is_between_requests_) channel_->close();
    channel_->notify();
}

asio::awaitable<void> Connection::run() {
    channel_->start();
    for (bool goes_on = true; goes_on;) goes_on = co_await serve_one();
    channel_->close();
}

asio::awaitable<bool> Connection::serve_one() {
    BodyShare share(context_.bodies);
    is_between_requests_ = true;
    ReadResult read = co_await read_request(*channel_, context_.service, context_.limits, share);
    is_between_requests_ = false;
    keep_alive_ = read.keep_alive;
    is_http_1_0_ = read.is_http_1_0;
    const bool is_head = read.request && read.request->method == "HEAD";
    request_id_ = read.request ? read.request->id : request_id_of({});
    if (read.refusal) {
        read.request.reset();
        share.give_back();  // before the answer: who has read it may rely on the room
        const bool written = co_await write_response(*read.refusal, is_head);
        if (!written || keeps_alive()) co_return written;
        channel_->finish_output();
        is_between_requests_ = true;
        co_await drain(*channel_, context_.limits);
        co_return false;
    }
    if (!read.request) co_return false;
    const WakeGate gate(shared_from_this());
    Answer answer = co_await make_answer(*read.request, gate.waker());
    read.request.reset();
    share.give_back();
    if (const auto* response = std::get_if<HttpResponse>(&answer)) {
        const bool written = co_await write_response(*response, is_head);
        co_return written&& keeps_alive();
    }
    if (const auto* pending = std::get_if<std::unique_ptr<PendingResponse>>(&answer)) {
        const bool written = co_await write_pending(**pending);
        co_return written&& keeps_alive();
    }
    const bool written = co_await write_events(*std::get<std::unique_ptr<EventSource>>(answer));
    co_return written&& keeps_alive();
}

// Requests with a body may cost time (parsing, tokenizing): they are answered on a worker, the others here.
asio::awaitable<Answer> Connection::make_answer(const HttpRequest& request, Waker wake) {
    const auto answer_or_error = [this, &request, wake]() -> Answer {
        try {
            return context_.service.answer(request, wake);
        } catch (...) {
            return error_response(std::current_exception(), request.id);
        }
    };
    if (request.body.empty()) co_return answer_or_error();
    Answer answer;
    co_await asio::co_spawn(
        context_.workers,
        [&answer, &answer_or_error]() -> asio::awaitable<void> {
            answer = answer_or_error();
            co_return;
        },
        asio::use_awaitable);
    co_return answer;
}

asio::awaitable<bool> Connection::write_response(const HttpResponse& response, bool without_body) {
    std::string bytes = response_head(response, request_id_, keeps_alive(), BodyFraming::length);
    if (!without_body) bytes += response.body;
    const bool written = co_await channel_->write(bytes, context_.limits.write_time);
    co_return written;
}

asio::awaitable<void> Connection::wait_for_wake(Clock::duration at_most) {
    co_await channel_->wait([this] { return is_woken_ || is_aborted_ || channel_->is_gone(); }, Clock::now() + at_most);
}

asio::awaitable<bool> Connection::write_pending(PendingResponse& pending) {
    std::optional<HttpResponse> response;
    while (!response) {
        if (channel_->is_gone()) co_return false;
        is_woken_ = false;
        try {
            if (is_aborted_) throw stopping();
            response = pending.poll();
        } catch (...) {
            response = error_response(std::current_exception(), request_id_);
        }
        if (!response) co_await wait_for_wake(std::chrono::hours(1));
    }
    const bool written = co_await write_response(*response, false);
    co_return written;
}

EventBatch Connection::next_events(EventSource& events) {
    try {
        if (is_aborted_) throw stopping();
        return events.poll();
    } catch (...) {
        return {.text = error_event(std::current_exception(), request_id_), .is_last = true};
    }
}

asio::awaitable<bool> Connection::write_events(EventSource& events) {
    if (is_http_1_0_) keep_alive_ = false;
    const HttpResponse head{.content_type = "text/event-stream", .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
    std::string bytes = response_head(head, request_id_, keeps_alive(), is_http_1_0_ ? BodyFraming::until_close : BodyFraming::chunks);
    auto last_write = Clock::now();
    for (bool is_last = false; !is_last;) {
        if (channel_->is_gone()) co_return false;
        is_woken_ = false;
        EventBatch batch = next_events(events);
        is_last = batch.is_last;
        const bool is_silent = Clock::now() - last_write >= context_.limits.event_pause;
        if (batch.text.empty() && is_silent) batch.text = ": still working\n\n";
        if (!batch.text.empty()) bytes += is_http_1_0_ ? batch.text : chunk(batch.text);
        if (is_last && !is_http_1_0_) bytes += "0\r\n\r\n";
        if (!bytes.empty()) {
            const bool written = co_await channel_->write(bytes, context_.limits.write_time);
            if (!written) co_return false;
            bytes.clear();
            last_write = Clock::now();
        }
        if (!is_last && !is_woken_) co_await wait_for_wake(context_.limits.event_pause);
    }
    co_return true;
}

}  // namespace quern
