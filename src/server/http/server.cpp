#include "server/http/server.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "server/http/connection.h"

namespace quern {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Protocol = asio::generic::stream_protocol;

constexpr auto with_error = asio::as_tuple(asio::use_awaitable);

std::vector<tcp::endpoint> resolve(const std::string& host, uint16_t port) {
    asio::io_context context;
    tcp::resolver resolver(context);
    boost::system::error_code error;
    const auto results = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
    std::vector<tcp::endpoint> endpoints;
    for (const auto& result : results) endpoints.push_back(result.endpoint());
    if (error || endpoints.empty()) throw InvalidInput(concat("the host ", host, " has no address: ", error.message()), "host");
    return endpoints;
}

tcp::endpoint resolve_one(const ListenAddress& address) {
    const std::vector<tcp::endpoint> endpoints = resolve(address.host, address.port);
    for (const tcp::endpoint& endpoint : endpoints)
        if (endpoint.address().is_v4()) return endpoint;  // "localhost" is both; clients try IPv4 in any case
    return endpoints.front();
}

/// Takes the place of a socket file that nobody listens on any more.
void remove_dead_socket(const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) return;
    if (!std::filesystem::is_socket(path, ignored))
        throw InvalidInput(concat("cannot listen on ", path, ": it exists and is no socket; remove it or choose another path"), "host");
    asio::io_context context;
    asio::local::stream_protocol::socket probe(context);
    boost::system::error_code error;
    probe.connect(path, error);
    if (error) std::filesystem::remove(path, ignored);
}

std::unique_ptr<asio::ssl::context> make_tls(const ListenAddress& address) {
    if (address.certificate_file.empty() && address.key_file.empty()) return nullptr;
    if (address.certificate_file.empty() || address.key_file.empty())
        throw InvalidInput("HTTPS needs both --ssl-certfile and --ssl-keyfile", "ssl_certfile");
    auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    boost::system::error_code error;
    tls->use_certificate_chain_file(address.certificate_file, error);
    if (error) throw InvalidInput(concat("cannot use the certificate ", address.certificate_file, ": ", error.message()), "ssl_certfile");
    tls->use_private_key_file(address.key_file, asio::ssl::context::pem, error);
    if (error) throw InvalidInput(concat("cannot use the private key ", address.key_file, ": ", error.message()), "ssl_keyfile");
    return tls;
}

}  // namespace

std::string unix_socket_path(const std::string& host) {
    if (host.starts_with("unix://")) return host.substr(7);
    if (host.starts_with("unix:")) return host.substr(5);
    return host.ends_with(".sock") ? host : std::string();
}

bool is_loopback(const std::string& host) {
    if (!unix_socket_path(host).empty()) return true;
    const std::vector<tcp::endpoint> endpoints = resolve(host, 0);
    return std::all_of(endpoints.begin(), endpoints.end(), [](const tcp::endpoint& endpoint) { return endpoint.address().is_loopback(); });
}

class HttpServer::State {
  public:
    State(const ListenAddress& address, HttpService& service, const HttpLimits& limits);
    ~State() { close_acceptor(); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    void run();
    void stop();
    void stop_now();
    std::function<void()> read_certificate();
    uint16_t port() const { return port_; }

  private:
    void listen(const ListenAddress& address);
    asio::awaitable<void> accept();
    asio::awaitable<void> stop_late();
    void begin_stop();
    void end_if_done();
    std::string add(Protocol::socket socket);
    void remove(uint64_t id);
    void close_acceptor();
    void for_each(void (Connection::*action)());
    asio::awaitable<void> pause(std::chrono::milliseconds time);

    /// One thread's connections. They never leave it, so nothing is handed from thread to thread and they need no strand.
    struct Loop {
        asio::io_context io{1};  // run by one thread
        asio::executor_work_guard<asio::io_context::executor_type> guard{io.get_executor()};
    };

    static std::vector<std::unique_ptr<Loop>> make_loops(int n) {
        std::vector<std::unique_ptr<Loop>> loops;
        for (int i = 0; i < std::max(1, n); ++i) loops.push_back(std::make_unique<Loop>());
        return loops;
    }
    asio::io_context& next_io() { return loops_[n_accepted_++ % loops_.size()]->io; }

    const HttpLimits limits_;
    BodyBudget bodies_;
    uint16_t port_ = 0;
    const std::vector<std::unique_ptr<Loop>> loops_;
    asio::io_context& io_;                                  // the first loop's: the acceptor's, and some connections'
    asio::strand<asio::io_context::executor_type> strand_;  // of all below up to mutex_
    asio::basic_socket_acceptor<Protocol> acceptor_;
    std::string socket_file_;
    asio::steady_timer stop_timer_;
    size_t n_accepted_ = 0;
    bool is_stopping_ = false;
    bool is_stopped_ = false;  // no connection is left
    asio::thread_pool workers_, large_workers_;
    const ListenAddress address_;
    std::shared_ptr<asio::ssl::context> tls_;  // both of the strand: connections are made there, and hold on to what they need
    ConnectionContext context_;

    std::mutex mutex_;
    uint64_t next_id_ = 0;  // guarded by mutex_, like connections_
    std::unordered_map<uint64_t, std::shared_ptr<Connection>> connections_;
};

HttpServer::State::State(const ListenAddress& address, HttpService& service, const HttpLimits& limits)
    : limits_(limits),
      bodies_(limits.bodies_bytes),
      loops_(make_loops(limits.n_io_threads)),
      io_(loops_.front()->io),
      strand_(asio::make_strand(io_)),
      acceptor_(strand_),
      stop_timer_(strand_),
      workers_(static_cast<size_t>(limits.n_workers)),
      large_workers_(static_cast<size_t>(limits.n_large_workers)),
      address_(address),
      tls_(make_tls(address)),
      context_{service, limits_, bodies_, workers_, large_workers_, tls_.get()} {
    listen(address);
}

void HttpServer::State::listen(const ListenAddress& address) {
    const std::string path = unix_socket_path(address.host);
    Protocol::endpoint endpoint;
    if (path.empty()) {
        endpoint = resolve_one(address);
    } else {
        if (path.size() > 100) throw InvalidInput(concat("the path of the Unix socket is too long: ", path), "host");
        remove_dead_socket(path);
        endpoint = asio::local::stream_protocol::endpoint(path);
    }
    boost::system::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error && path.empty()) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
        const char* another = path.empty() ? "; is another server running? choose another --port" : "; another server listens there";
        const char* hint = error == asio::error::address_in_use ? another : "";
        throw DeviceError(
            concat("cannot listen on ", address.host, path.empty() ? concat(":", address.port) : "", ": ", error.message(), hint));
    }
    socket_file_ = path;
    if (!path.empty()) return;
    const Protocol::endpoint bound = acceptor_.local_endpoint();
    tcp::endpoint tcp_endpoint;
    tcp_endpoint.resize(bound.size());
    std::memcpy(tcp_endpoint.data(), bound.data(), bound.size());
    port_ = tcp_endpoint.port();
}

void HttpServer::State::run() {
    asio::co_spawn(strand_, accept(), asio::detached);
    std::vector<std::thread> threads;
    for (size_t i = 1; i < loops_.size(); ++i) threads.emplace_back([&loop = *loops_[i]] { loop.io.run(); });
    io_.run();
    for (std::thread& thread : threads) thread.join();
    workers_.join();
    large_workers_.join();
}

asio::awaitable<void> HttpServer::State::pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(strand_, time);
    co_await timer.async_wait(with_error);
}

asio::awaitable<void> HttpServer::State::accept() {
    bool has_complained = false;
    while (acceptor_.is_open()) {
        size_t n_connections = 0;
        {
            const std::lock_guard lock(mutex_);
            n_connections = connections_.size();
        }
        if (n_connections >= limits_.n_connections) {
            co_await pause(std::chrono::milliseconds(20));
            continue;
        }
        auto [error, socket] = co_await acceptor_.async_accept(next_io(), with_error);
        if (!acceptor_.is_open()) break;
        const std::string problem = error ? error.message() : add(Protocol::socket(std::move(socket)));
        if (problem.empty()) continue;
        if (!has_complained) log_warning(concat("cannot take a connection: ", problem));
        has_complained = true;
        co_await pause(std::chrono::milliseconds(100));  // out of file descriptors, most likely
    }
}

// What is in the way, or "". The loop that accepts goes on whatever happens.
std::string HttpServer::State::add(Protocol::socket socket) try {
    const auto executor = socket.get_executor();
    auto connection = std::make_shared<Connection>(std::move(socket), context_);
    if (is_stopping_) connection->turn_away();
    uint64_t id = 0;
    {
        const std::lock_guard lock(mutex_);
        id = next_id_++;
        connections_.emplace(id, connection);
    }
    asio::co_spawn(
        executor, [connection] { return connection->run(); },
        [this, id, connection](std::exception_ptr error) {
            if (error) {
                log_error("a connection ended by an error of the server's own");
                connection->close();
            }
            remove(id);
        });
    return {};
} catch (const std::exception& failed) {
    return failed.what();
}

void HttpServer::State::remove(uint64_t id) {
    const std::lock_guard lock(mutex_);
    connections_.erase(id);
    const bool was_last =
        std::all_of(connections_.begin(), connections_.end(), [](const auto& each) { return each.second->is_turned_away(); });
    if (was_last) asio::post(strand_, [this] { end_if_done(); });
}

void HttpServer::State::close_acceptor() {
    if (!acceptor_.is_open()) return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    std::error_code also_ignored;
    if (!socket_file_.empty()) std::filesystem::remove(socket_file_, also_ignored);
}

// With nothing left to wait for, run() returns. Clients that came too late do not count.
void HttpServer::State::end_if_done() {
    const std::lock_guard lock(mutex_);
    if (!is_stopping_ || is_stopped_) return;
    for (const auto& [id, connection] : connections_)
        if (!connection->is_turned_away()) return;
    is_stopped_ = true;
    close_acceptor();
    stop_timer_.cancel();
    for (const auto& [id, connection] : connections_) connection->close();
    for (const auto& loop : loops_) loop->guard.reset();
}

void HttpServer::State::for_each(void (Connection::*action)()) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, connection] : connections_) (connection.get()->*action)();
}

void HttpServer::State::begin_stop() {
    if (is_stopping_) return;
    is_stopping_ = true;
    for_each(&Connection::finish_soon);
    asio::co_spawn(strand_, stop_late(), asio::detached);
    end_if_done();
}

// First asks for an end with an error that the client can read, then insists.
asio::awaitable<void> HttpServer::State::stop_late() {
    if (is_stopped_) co_return;
    stop_timer_.expires_after(limits_.stop_time);
    co_await stop_timer_.async_wait(with_error);
    if (is_stopped_) co_return;
    for_each(&Connection::break_off);
    close_acceptor();
    stop_timer_.expires_after(std::chrono::seconds(1));
    co_await stop_timer_.async_wait(with_error);
    if (!is_stopped_) for_each(&Connection::close);
}

void HttpServer::State::stop() {
    asio::post(strand_, [this] { begin_stop(); });
}

void HttpServer::State::stop_now() {
    asio::post(strand_, [this] {
        begin_stop();
        for_each(&Connection::close);
    });
}

std::function<void()> HttpServer::State::read_certificate() {
    const std::shared_ptr<asio::ssl::context> fresh = make_tls(address_);
    return [this, fresh] {
        asio::post(strand_, [this, fresh] {
            tls_ = fresh;
            context_.tls = tls_.get();
        });
    };
}

HttpServer::HttpServer(const ListenAddress& address, HttpService& service, const HttpLimits& limits)
    : state_(std::make_unique<State>(address, service, limits)) {}
HttpServer::~HttpServer() = default;
uint16_t HttpServer::port() const { return state_->port(); }
void HttpServer::run() { state_->run(); }
void HttpServer::stop() { state_->stop(); }
void HttpServer::stop_now() { state_->stop_now(); }
std::function<void()> HttpServer::read_certificate() { return state_->read_certificate(); }

}  // namespace quern
