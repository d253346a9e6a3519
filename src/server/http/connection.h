// One client's connection: its requests one after the other, each read, answered, and forgotten.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "server/http/byte_channel.h"
#include "server/http/request_reader.h"

namespace quern {

/// What all connections of a server share. Outlives them.
struct ConnectionContext {
    HttpService& service;
    const HttpLimits& limits;
    BodyBudget& bodies;
    boost::asio::thread_pool& workers;
    boost::asio::thread_pool& large_workers;  ///< for requests with large bodies
    boost::asio::ssl::context* tls;           ///< nullptr: plain HTTP
};

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(ByteChannel::Socket socket, ConnectionContext context);

    /// Serves until the client goes, or the server stops. On the socket's executor.
    boost::asio::awaitable<void> run();

    /// Before run(): the server is stopping, and this client is told so.
    void turn_away() { is_finishing_ = is_turned_away_ = true; }
    bool is_turned_away() const { return is_turned_away_; }

    /// Any thread: answers what was asked and is still being made, then closes.
    void finish_soon();
    /// Any thread: running answers end with an error.
    void break_off();
    /// Any thread: closes at once.
    void close();

  private:
    class WakeGate;
    /// Events on their way to the client.
    struct EventStream {
        EventSource& events;
        std::string bytes;                           ///< made, and not sent yet
        ByteChannel::Clock::time_point silent_from;  ///< when the client has heard nothing for long enough
        bool is_last = false;                        ///< no more will come
    };

    boost::asio::awaitable<bool> serve_one();
    boost::asio::awaitable<bool> write_refusal(const HttpResponse& refusal, bool is_head);
    boost::asio::awaitable<bool> write_answer(Answer answer, bool is_head);
    boost::asio::awaitable<Answer> on_worker(const std::function<Answer()>& make);
    boost::asio::awaitable<std::optional<Answer>> await_deferred(DeferredAnswer& deferred);
    boost::asio::awaitable<bool> write_response(const HttpResponse& response, bool without_body);
    boost::asio::awaitable<bool> write_pending(PendingResponse& pending);
    boost::asio::awaitable<bool> write_events(EventSource& events);
    void collect(EventStream& stream);
    bool pump(EventStream& stream);
    boost::asio::awaitable<bool> write_late_error(const HttpResponse& response);
    boost::asio::awaitable<bool> write_bytes(std::string bytes);
    boost::asio::awaitable<void> wait_for_wake(ByteChannel::Clock::duration at_most);
    ByteChannel::Clock::time_point answer_deadline(ByteChannel::Clock::time_point deadline) const;
    EventBatch next_events(EventSource& events);
    std::string stream_head(const char* content_type);
    void append_framed(std::string& out, std::string_view text) const;
    HttpResponse error_now() const;
    void check_time() const;
    void note_request(const HttpRequest& request);
    void log_request(bool is_complete);
    void on_own_thread(void (Connection::*action)());
    void set_finishing();
    void set_aborted();
    void close_channel() { channel_->close(); }
    bool keeps_alive() const { return keep_alive_ && !is_finishing_; }

    const std::shared_ptr<ByteChannel> channel_;
    const ConnectionContext context_;
    AccessRecord record_;  // of the request being answered
    HttpHeaders extra_headers_;
    ByteChannel::Clock::time_point began_;
    bool is_between_requests_ = true;
    bool keep_alive_ = false;
    bool is_http_1_0_ = false;
    bool is_woken_ = false;
    bool is_finishing_ = false;
    bool is_turned_away_ = false;
    std::atomic<bool> is_aborted_{false};
    bool is_large_ = false, is_huge_ = false;  // the request's body was
    bool has_stream_head_ = false;
};

}  // namespace quern
