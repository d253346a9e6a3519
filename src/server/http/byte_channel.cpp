#include "server/http/byte_channel.h"

#include <cstring>
#include <sstream>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace quern {
namespace {

namespace asio = boost::asio;

// What a client may send ahead, while its last request is being answered.
constexpr size_t max_inbox_bytes = 128 << 10;

constexpr auto with_error = asio::as_tuple(asio::use_awaitable);

}  // namespace

ByteChannel::ByteChannel(Socket socket, asio::ssl::context* tls)
    : socket_(std::move(socket)),
      alarm_(socket_.get_executor()),
      inbox_has_room_(socket_.get_executor()),
      write_deadline_(socket_.get_executor()) {
    boost::system::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);  // an event is small and must not wait for the next one
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    socket_.non_blocking(true, ignored);
    if (tls != nullptr) tls_.emplace(socket_, *tls);
}

asio::awaitable<bool> ByteChannel::start(Clock::duration limit) {
    if (tls_) {
        write_deadline_.expires_after(limit);
        write_deadline_.async_wait([self = shared_from_this(), n_write = n_writes_](boost::system::error_code error) {
            if (!error) self->close_late_writer(n_write);
        });
        const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, with_error);
        ++n_writes_;
        write_deadline_.cancel();
        if (error) co_return false;
    }
    asio::co_spawn(
        socket_.get_executor(), [self = shared_from_this()] { return self->read_on(); }, asio::detached);
    co_return true;
}

std::string ByteChannel::remote() const {
    boost::system::error_code error;
    const auto endpoint = socket_.remote_endpoint(error);
    const auto family = error ? AF_UNSPEC : endpoint.data()->sa_family;
    if (family != AF_INET && family != AF_INET6) return {};
    asio::ip::tcp::endpoint tcp;
    tcp.resize(endpoint.size());
    std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
    std::ostringstream text;
    text << tcp;
    return text.str();
}

// Two branches, not a conditional expression: GCC 12 frees the temporaries of those too early in coroutines.
asio::awaitable<size_t> ByteChannel::read_some() {
    if (tls_) {
        const auto [error, n_bytes] = co_await tls_->async_read_some(asio::buffer(piece_), with_error);
        co_return error ? 0 : n_bytes;
    }
    const auto [error, n_bytes] = co_await socket_.async_read_some(asio::buffer(piece_), with_error);
    co_return error ? 0 : n_bytes;
}

asio::awaitable<bool> ByteChannel::write_some(std::string_view bytes) {
    if (tls_) {
        const auto [error, n_bytes] = co_await asio::async_write(*tls_, asio::buffer(bytes), with_error);
        co_return !error;
    }
    const auto [error, n_bytes] = co_await asio::async_write(socket_, asio::buffer(bytes), with_error);
    co_return !error;
}

asio::awaitable<void> ByteChannel::read_on() {
    const auto self = shared_from_this();
    while (!is_gone_) {
        const size_t n_bytes = co_await read_some();
        if (n_bytes == 0) break;
        inbox_.append(piece_.data(), n_bytes);
        notify();
        while (!is_gone_ && input().size() >= max_inbox_bytes) {
            inbox_has_room_.expires_at(Clock::time_point::max());
            co_await inbox_has_room_.async_wait(with_error);
        }
    }
    is_gone_ = true;
    notify();
}

void ByteChannel::consume(size_t n_bytes) {
    consumed_ += n_bytes;
    if (consumed_ == inbox_.size()) {
        inbox_.clear();
        consumed_ = 0;
        if (inbox_.capacity() > max_inbox_bytes) inbox_.shrink_to_fit();
    } else if (consumed_ > max_inbox_bytes) {
        inbox_.erase(0, consumed_);
        consumed_ = 0;
    }
    inbox_has_room_.cancel();
}

template <typename Handler>
struct ByteChannel::HandlerWaiter final : Waiter {
    explicit HandlerWaiter(Handler own) : handler(std::move(own)) {}
    void resume() override { std::move(handler)(); }
    Handler handler;
};

// An alarm that goes off too early costs less than setting it anew for each token: who waits looks at the time and waits on.
void ByteChannel::alarm_at(Clock::time_point deadline) {
    if (deadline >= alarm_time_) return;
    alarm_time_ = deadline;
    alarm_.expires_at(deadline);
    alarm_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
        const auto self = weak.lock();
        if (error || !self) return;
        self->alarm_time_ = Clock::time_point::max();
        self->notify_now();
    });
}

// Resumed by hand and not by cancelling a timer: a token then costs one turn of the thread's loop.
asio::awaitable<void> ByteChannel::pause_until(Clock::time_point deadline) {
    alarm_at(deadline);
    co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
        [this](auto handler) { waiter_ = std::make_unique<HandlerWaiter<decltype(handler)>>(std::move(handler)); }, asio::use_awaitable);
}

void ByteChannel::notify() {
    if (waiter_) asio::post(socket_.get_executor(), [waiter = std::move(waiter_)] { waiter->resume(); });
}

// Resuming a coroutine costs more than asking what it would ask first.
void ByteChannel::notify_now() {
    if (!waiter_) return;
    try {
        if (!(*ready_)() && Clock::now() < wait_deadline_) return;
    } catch (...) {
        ready_error_ = std::current_exception();
    }
    if (const std::unique_ptr<Waiter> waiter = std::move(waiter_)) waiter->resume();
}

asio::awaitable<bool> ByteChannel::wait(std::function<bool()> ready, Clock::time_point deadline) {
    while (!ready()) {
        if (Clock::now() >= deadline) co_return false;
        ready_ = &ready;
        wait_deadline_ = deadline;
        co_await pause_until(deadline);
        if (ready_error_) std::rethrow_exception(std::exchange(ready_error_, nullptr));
    }
    co_return true;
}

void ByteChannel::close_late_writer(uint64_t n_write) {
    if (n_write == n_writes_) close();
}

// How much the system takes without a wait, which is mostly everything: then there is nothing to time and nobody to wake.
size_t ByteChannel::write_now(std::string_view bytes) {
    if (tls_) return 0;
    boost::system::error_code ignored;
    return socket_.write_some(asio::buffer(bytes), ignored);
}

asio::awaitable<bool> ByteChannel::write(std::string_view bytes, Clock::duration limit) {
    if (!socket_.is_open()) co_return false;
    bytes.remove_prefix(write_now(bytes));
    if (bytes.empty()) co_return true;
    write_deadline_.expires_after(limit);
    write_deadline_.async_wait([self = shared_from_this(), n_write = n_writes_](boost::system::error_code error) {
        if (!error) self->close_late_writer(n_write);
    });
    const bool written = co_await write_some(bytes);
    ++n_writes_;
    write_deadline_.cancel();
    if (written) co_return true;
    close();
    co_return false;
}

void ByteChannel::finish_output() {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

void ByteChannel::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    is_gone_ = true;
    write_deadline_.cancel();
    inbox_has_room_.cancel();
    alarm_.cancel();
    notify();
}

}  // namespace quern
