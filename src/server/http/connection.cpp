#include "server/http/connection.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/memory.h"
#include "server/http/errors.h"
#include "server/http/message_place.h"

namespace quern {
namespace {

namespace asio = boost::asio;
using Clock = ByteChannel::Clock;

void append_chunk(std::string& out, std::string_view text) {
    char size[2 * sizeof(size_t)];
    const auto end = std::to_chars(std::begin(size), std::end(size), text.size(), 16).ptr;
    out.reserve(out.size() + text.size() + sizeof size + 4);
    out.append(size, end).append("\r\n").append(text).append("\r\n");
}

}  // namespace

/// Lets other threads wake a connection for as long as it waits for an answer, and not a moment longer.
class Connection::WakeGate {
  public:
    explicit WakeGate(const std::shared_ptr<Connection>& connection)
        : shared_(std::make_shared<Shared>(loop_of(*connection->channel_), connection)) {}
    ~WakeGate() {
        const std::lock_guard lock(shared_->mutex);
        shared_->connection.reset();
    }
    WakeGate(const WakeGate&) = delete;
    WakeGate& operator=(const WakeGate&) = delete;

    Waker waker() const {
        return [shared = shared_] {
            const std::lock_guard lock(shared->mutex);
            if (!shared->connection || shared->is_posted.exchange(true)) return;
            asio::post(shared->loop, asio::bind_allocator(MessageAllocator<char>(&shared->message), [shared] { pass_on(*shared); }));
        };
    }

  private:
    using Loop = asio::io_context::executor_type;

    // The engine wakes for every token: not through a type that could be any executor.
    static Loop loop_of(ByteChannel& channel) {
        const auto executor = channel.executor();
        const Loop* loop = executor.target<Loop>();
        QUERN_CHECK(loop != nullptr);
        return *loop;
    }

    struct Shared {
        Shared(Loop own, std::shared_ptr<Connection> woken) : loop(own), connection(std::move(woken)) {}

        const Loop loop;
        MessagePlace message;
        std::mutex mutex;
        std::shared_ptr<Connection> connection;  // changed by its own thread only, under the mutex
        std::atomic<bool> is_posted{false};      // one message on its way is enough
    };

    // On the connection's own thread, so without the mutex: who wakes still holds it.
    static void pass_on(Shared& shared) {
        shared.is_posted = false;
        const std::shared_ptr<Connection> connection = shared.connection;
        if (!connection) return;
        connection->is_woken_ = true;
        connection->channel_->notify_now();
    }

    std::shared_ptr<Shared> shared_;
};

Connection::Connection(ByteChannel::Socket socket, ConnectionContext context)
    : channel_(std::make_shared<ByteChannel>(std::move(socket), context.tls)), context_(context) {}

void Connection::on_own_thread(void (Connection::*action)()) {
    asio::post(channel_->executor(), [self = shared_from_this(), action] { (self.get()->*action)(); });
}

void Connection::finish_soon() { on_own_thread(&Connection::set_finishing); }
void Connection::break_off() { on_own_thread(&Connection::set_aborted); }
void Connection::close() { on_own_thread(&Connection::close_channel); }

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
    record_.remote = channel_->remote();
    bool goes_on = co_await channel_->start(context_.limits.header_time);
    while (goes_on) goes_on = co_await serve_one();
    channel_->close();
}

void Connection::note_request(const HttpRequest& request) {
    began_ = Clock::now();
    record_.id = request.id;
    record_.method = request.method;
    record_.path = request.path;
    record_.endpoint = request.endpoint;
    record_.status = 0;
    record_.n_request_bytes = request.body.size();
    record_.n_response_bytes = 0;
    is_large_ = request.body.size() > context_.limits.large_body_bytes;
    is_huge_ = request.body.size() > context_.limits.huge_body_bytes;
    extra_headers_ = context_.service.headers_for(request);
    has_stream_head_ = false;
}

void Connection::log_request(bool is_complete) {
    record_.is_complete = is_complete;
    record_.time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began_);
    context_.service.on_served(record_);
}

asio::awaitable<bool> Connection::serve_one() {
    BodyShare share(context_.bodies);
    is_between_requests_ = true;
    ReadResult read = co_await read_request(*channel_, context_.service, context_.limits, share);
    is_between_requests_ = false;
    keep_alive_ = read.keep_alive;
    is_http_1_0_ = read.is_http_1_0;
    if (!read.request && !read.refusal) co_return false;
    if (!read.request) read.request = HttpRequest{.id = request_id_of({})};
    note_request(*read.request);
    const bool is_head = read.request->method == "HEAD";
    if (is_finishing_ && !read.refusal) read.refusal = context_.service.error(std::make_exception_ptr(shutting_down()), record_);
    if (read.refusal) {
        read.request.reset();
        share.give_back();  // before the answer: who has read it may rely on the room
        const bool goes_on = co_await write_refusal(*read.refusal, is_head);
        co_return goes_on;
    }
    const WakeGate gate(shared_from_this());
    const std::function<Answer()> make = [&, wake = gate.waker()] { return context_.service.answer(*read.request, wake); };
    Answer answer;
    if (read.request->body.empty() && !context_.service.is_slow(*read.request)) {  // costs nothing that would need a worker
        try {
            answer = make();
        } catch (...) {
            answer = error_now();
        }
    } else {
        answer = co_await on_worker(make);
    }
    read.request.reset();
    share.give_back();
    const bool written = co_await write_answer(std::move(answer), is_head);
    log_request(written);
    co_return written&& keeps_alive();
}

asio::awaitable<bool> Connection::write_refusal(const HttpResponse& refusal, bool is_head) {
    const bool written = co_await write_response(refusal, is_head);
    log_request(written);
    if (!written || keeps_alive()) co_return written;
    channel_->finish_output();
    is_between_requests_ = true;
    co_await drain(*channel_, context_.limits);
    co_return false;
}

asio::awaitable<bool> Connection::write_answer(Answer answer, bool is_head) {
    while (auto* deferred = std::get_if<std::unique_ptr<DeferredAnswer>>(&answer)) {
        std::optional<Answer> next = co_await await_deferred(**deferred);
        if (!next) co_return false;
        answer = std::move(*next);
    }
    bool written = false;
    if (const auto* response = std::get_if<HttpResponse>(&answer)) {
        if (has_stream_head_)
            written = co_await write_late_error(*response);
        else
            written = co_await write_response(*response, is_head);
    } else if (const auto* pending = std::get_if<std::unique_ptr<PendingResponse>>(&answer)) {
        written = co_await write_pending(**pending);
    } else {
        written = co_await write_events(*std::get<std::unique_ptr<EventSource>>(answer));
    }
    co_return written;
}

// In a stream that has begun, an error is an event.
HttpResponse Connection::error_now() const {
    if (has_stream_head_) return {.body = context_.service.error_event(std::current_exception(), record_)};
    return context_.service.error(std::current_exception(), record_);
}

// Parsing, tokenizing and rendering cost time: not on the threads that serve the sockets. Nothing is done for a client who has gone while
// the request waited for a worker.
asio::awaitable<Answer> Connection::on_worker(const std::function<Answer()>& make) {
    Answer answer;
    co_await asio::co_spawn(
        is_large_ ? context_.large_workers : context_.workers,
        [this, &answer, &make]() -> asio::awaitable<void> {
            try {
                if (is_aborted_) throw shutting_down();
                if (!channel_->is_gone()) answer = make();
            } catch (...) {
                answer = error_now();
            }
            if (is_huge_) return_freed_memory();  // what its parts took lies scattered
            co_return;
        },
        asio::use_awaitable);
    co_return answer;
}

void Connection::check_time() const {
    if (is_aborted_) throw shutting_down();
    const auto limit = context_.limits.answer_time;
    if (limit.count() > 0 && Clock::now() - began_ > limit)
        throw ApiError(concat("the answer was not ready within ", limit.count() / 1000, " seconds"),
                       {.status = 504, .code = "timeout", .headers = {{"x-should-retry", "false"}}});
}

// Nothing: the client has gone. A silent stream gets its head and comments, so that no proxy gives it up meanwhile.
asio::awaitable<std::optional<Answer>> Connection::await_deferred(DeferredAnswer& deferred) {
    auto last_write = Clock::now();
    for (;;) {
        if (channel_->is_gone()) co_return std::nullopt;
        is_woken_ = false;
        std::optional<Answer> failed;
        bool is_ready = false;
        try {
            check_time();
            is_ready = deferred.is_ready();
        } catch (...) {
            failed = error_now();
        }
        if (failed) co_return failed;
        if (is_ready) break;
        co_await wait_for_wake(context_.limits.event_pause);
        if (!deferred.is_stream() || Clock::now() - last_write < context_.limits.event_pause) continue;
        std::string bytes = has_stream_head_ ? std::string() : stream_head("text/event-stream");
        append_framed(bytes, ": waiting\n\n");
        const bool written = co_await write_bytes(std::move(bytes));
        if (!written) co_return std::nullopt;
        last_write = Clock::now();
    }
    const std::function<Answer()> make = [&deferred] { return deferred.make(); };
    Answer answer = co_await on_worker(make);
    co_return std::optional<Answer>(std::move(answer));
}

asio::awaitable<bool> Connection::write_bytes(std::string bytes) {
    record_.n_response_bytes += bytes.size();
    const bool written = co_await channel_->write(bytes, context_.limits.write_time);
    co_return written;
}

asio::awaitable<bool> Connection::write_response(const HttpResponse& response, bool without_body) {
    record_.status = response.status;
    HttpResponse head{.status = response.status, .content_type = response.content_type, .headers = response.headers, .body = response.body};
    head.headers.insert(head.headers.end(), extra_headers_.begin(), extra_headers_.end());
    std::string bytes = response_head(head, record_.id, keeps_alive(), BodyFraming::length);
    if (!without_body) bytes += response.body;
    const bool written = co_await write_bytes(std::move(bytes));
    co_return written;
}

// The answer's time may end before `deadline`.
Clock::time_point Connection::answer_deadline(Clock::time_point deadline) const {
    const auto limit = context_.limits.answer_time;
    return limit.count() > 0 ? std::min(deadline, began_ + limit + std::chrono::milliseconds(1)) : deadline;
}

asio::awaitable<void> Connection::wait_for_wake(Clock::duration at_most) {
    const auto is_due = [this] { return is_woken_ || is_aborted_ || channel_->is_gone(); };
    co_await channel_->wait(is_due, answer_deadline(Clock::now() + at_most));
}

asio::awaitable<bool> Connection::write_pending(PendingResponse& pending) {
    std::optional<HttpResponse> response;
    while (!response) {
        if (channel_->is_gone()) co_return false;
        is_woken_ = false;
        try {
            check_time();
            response = pending.poll();
        } catch (...) {
            response = error_now();
        }
        if (!response) co_await wait_for_wake(context_.limits.event_pause);
    }
    const bool written = co_await write_response(*response, false);
    co_return written;
}

EventBatch Connection::next_events(EventSource& events) {
    try {
        check_time();
        return events.poll();
    } catch (...) {
        std::string text = events.error_text(std::current_exception(), record_.id);
        if (text.empty()) text = context_.service.error_event(std::current_exception(), record_);
        return {.text = std::move(text), .is_last = true};
    }
}

std::string Connection::stream_head(const char* content_type) {
    if (is_http_1_0_) keep_alive_ = false;
    has_stream_head_ = true;
    record_.status = 200;
    HttpResponse head{.content_type = content_type, .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
    head.headers.insert(head.headers.end(), extra_headers_.begin(), extra_headers_.end());
    return response_head(head, record_.id, keeps_alive(), is_http_1_0_ ? BodyFraming::until_close : BodyFraming::chunks);
}

void Connection::append_framed(std::string& out, std::string_view text) const {
    if (is_http_1_0_)
        out += text;
    else
        append_chunk(out, text);
}

// The stream has begun with comments, so what error_now() made is its only event.
asio::awaitable<bool> Connection::write_late_error(const HttpResponse& response) {
    std::string bytes;
    append_framed(bytes, response.body);
    if (!is_http_1_0_) bytes += "0\r\n\r\n";
    const bool written = co_await write_bytes(std::move(bytes));
    co_return written;
}

void Connection::collect(EventStream& stream) {
    EventBatch batch = next_events(stream.events);
    stream.is_last = batch.is_last;
    const auto now = Clock::now();
    if (batch.text.empty() && now >= stream.silent_from) {
        batch.text = stream.events.keep_alive();
        stream.silent_from = now + context_.limits.event_pause;
    }
    if (!batch.text.empty()) append_framed(stream.bytes, batch.text);
    if (stream.is_last && !is_http_1_0_) stream.bytes += "0\r\n\r\n";
    if (!stream.bytes.empty()) stream.silent_from = now + context_.limits.event_pause;
}

// Sends what there is if the system takes it at once. True: the coroutine has something to do.
bool Connection::pump(EventStream& stream) {
    if (stream.is_last || !stream.bytes.empty() || channel_->is_gone()) return true;
    collect(stream);
    if (stream.bytes.empty()) return stream.is_last;
    const size_t n_bytes = channel_->write_now(stream.bytes);
    record_.n_response_bytes += n_bytes;
    stream.bytes.erase(0, n_bytes);
    return stream.is_last || !stream.bytes.empty();
}

// Most tokens are sent by pump(), on the thread's way from their wake, and this goes on only when it has to wait for the client.
asio::awaitable<bool> Connection::write_events(EventSource& events) {
    EventStream stream{.events = events, .bytes = {}, .silent_from = Clock::now() + context_.limits.event_pause};
    if (!has_stream_head_) stream.bytes = stream_head(events.content_type());
    collect(stream);
    for (;;) {
        if (!stream.bytes.empty()) {
            const bool written = co_await write_bytes(std::move(stream.bytes));
            if (!written) co_return false;
            stream.bytes.clear();
            stream.silent_from = Clock::now() + context_.limits.event_pause;
        }
        if (stream.is_last) co_return true;
        co_await channel_->wait([this, &stream] { return pump(stream); }, answer_deadline(stream.silent_from));
        if (channel_->is_gone() && !stream.is_last) co_return false;
    }
}

}  // namespace quern
