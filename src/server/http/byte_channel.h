// A connected socket as bytes in and bytes out. A read is always pending, so that a client that goes away is noticed at once, also while
// its answer is still being made. For the few files of http/ that know Asio.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

namespace quern {

/// All methods but the constructor run on the socket's executor, which runs one thing at a time.
class ByteChannel : public std::enable_shared_from_this<ByteChannel> {
  public:
    using Clock = std::chrono::steady_clock;
    using Socket = boost::asio::generic::stream_protocol::socket;  // TCP or Unix

    /// @param tls  nullptr: plain bytes; else its certificate and key are this connection's
    ByteChannel(Socket socket, boost::asio::ssl::context* tls);

    /// Agrees on keys with the client, where there is TLS; then begins to read. Needs a shared_ptr to this. False: the client has gone, or
    /// did not manage within the limit.
    boost::asio::awaitable<bool> start(Clock::duration limit);

    /// Bytes that arrived and were not consumed. Valid until the next wait.
    std::string_view input() const { return std::string_view(inbox_).substr(consumed_); }
    void consume(size_t n_bytes);
    /// The client closed its side, or the connection broke. What is in input() can still be read.
    /// Any thread.
    bool is_gone() const { return is_gone_; }

    /// Waits until `ready` is true, looking again whenever something happened: bytes, the end, notify(). False: the deadline came first.
    /// One waiter at a time. `ready` may do work of its own, write_now() included, and must stay true once it was.
    boost::asio::awaitable<bool> wait(std::function<bool()> ready, Clock::time_point deadline);
    void notify();
    /// Like notify(), but `ready` is asked here, and who waits is resumed only if it has to go on. Not from within another coroutine of
    /// this channel.
    void notify_now();

    /// How many of the bytes the system takes without a wait: mostly all, none of them with TLS.
    size_t write_now(std::string_view bytes);
    /// Writes all. False: the client has gone, or took longer than `limit`; the channel is closed then.
    boost::asio::awaitable<bool> write(std::string_view bytes, Clock::duration limit);

    /// No more output; the client sees the end of the stream, and may still send.
    void finish_output();
    void close();

    Socket::executor_type executor() { return socket_.get_executor(); }

    /// "192.0.2.1:5000", or "" for a Unix socket.
    std::string remote() const;

  private:
    /// A coroutine that waits, and how to let it go on.
    struct Waiter {
        virtual ~Waiter() = default;
        virtual void resume() = 0;
    };
    template <typename Handler>
    struct HandlerWaiter;

    boost::asio::awaitable<void> pause_until(Clock::time_point deadline);
    void alarm_at(Clock::time_point deadline);
    boost::asio::awaitable<void> read_on();
    boost::asio::awaitable<size_t> read_some();
    boost::asio::awaitable<bool> write_some(std::string_view bytes);
    void close_late_writer(uint64_t n_write);

    Socket socket_;
    std::optional<boost::asio::ssl::stream<Socket&>> tls_;
    std::unique_ptr<Waiter> waiter_;
    const std::function<bool()>* ready_ = nullptr;  // what waiter_ waits for, and until when
    Clock::time_point wait_deadline_;
    std::exception_ptr ready_error_;  // what ready_ threw where nobody could catch it
    boost::asio::steady_timer alarm_;
    Clock::time_point alarm_time_ = Clock::time_point::max();  // when alarm_ goes off
    boost::asio::steady_timer inbox_has_room_;
    boost::asio::steady_timer write_deadline_;
    std::array<char, 16384> piece_;
    std::string inbox_;
    size_t consumed_ = 0;
    uint64_t n_writes_ = 0;
    std::atomic<bool> is_gone_{false};
};

}  // namespace quern
