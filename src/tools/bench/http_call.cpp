#include "tools/bench/http_call.h"

#include <array>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

namespace quern {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Socket = asio::generic::stream_protocol::socket;
using boost::system::error_code;

constexpr uint32_t max_header_bytes = 64 << 10;
constexpr uint64_t max_answer_bytes = uint64_t{1} << 30;
constexpr size_t max_unread_bytes = 256 << 10;

constexpr auto with_error = asio::as_tuple(asio::use_awaitable);

}  // namespace

/// A connection that closes itself when its time is up.
class HttpClient::Link : public std::enable_shared_from_this<HttpClient::Link> {
  public:
    explicit Link(asio::io_context& io) : socket(io), timer_(io) {}

    void begin(std::chrono::milliseconds limit) {
        limit_ = limit;
        timer_.expires_after(limit);
        timer_.async_wait([self = shared_from_this()](error_code error) {
            if (error) return;
            self->is_late_ = true;
            self->close();
        });
    }
    void end() {
        timer_.cancel();
        close();
    }

    [[noreturn]] void fail(const char* kind, std::string_view what, const error_code& error) const {
        if (is_late_) throw CallFailure("timeout", concat("no whole answer within ", static_cast<double>(limit_.count()) / 1000, " s"));
        throw CallFailure(kind, concat(what, ": ", error.message()));
    }

    bool is_late() const noexcept { return is_late_; }

    Socket socket;
    std::optional<asio::ssl::stream<Socket&>> tls;

  private:
    void close() {
        error_code ignored;
        socket.close(ignored);
    }

    asio::steady_timer timer_;
    std::chrono::milliseconds limit_{0};
    bool is_late_ = false;
};

HttpClient::HttpClient(asio::io_context& io, Options options)
    : io_(io), options_(std::move(options)), tls_(asio::ssl::context::tls_client) {
    if (!options_.url.is_tls) return;
    error_code ignored;
    tls_.set_default_verify_paths(ignored);
    tls_.set_verify_mode(options_.checks_certificate ? asio::ssl::verify_peer : asio::ssl::verify_none);
}

std::string HttpClient::request_text(const HttpCall& call) const {
    const ServerUrl& url = options_.url;
    const bool is_usual_port = url.port == (url.is_tls ? 443 : 80) || !url.unix_socket.empty();
    const bool is_ipv6 = url.host.find(':') != std::string::npos;
    std::string text = concat(call.method, ' ', url.base_path, call.path, " HTTP/1.1\r\nHost: ", is_ipv6 ? "[" : "", url.host,
                              is_ipv6 ? "]" : "", is_usual_port ? "" : concat(':', url.port),
                              "\r\nUser-Agent: quern-bench\r\nAccept: text/event-stream, application/json\r\nConnection: close\r\n");
    if (!options_.api_key.empty()) text += concat("Authorization: Bearer ", options_.api_key, "\r\n");
    if (!call.body.empty()) text += concat("Content-Type: application/json\r\nContent-Length: ", call.body.size(), "\r\n");
    return text + "\r\n" + call.body;
}

asio::awaitable<void> HttpClient::connect_tcp(std::shared_ptr<Link> link) {
    const ServerUrl& url = options_.url;
    tcp::resolver resolver(io_);
    const auto [resolve_error, found] = co_await resolver.async_resolve(url.host, std::to_string(url.port), with_error);
    if (resolve_error || link->is_late()) link->fail("connect", concat("the host ", url.host, " has no address"), resolve_error);
    error_code last = asio::error::host_not_found;
    for (const auto& each : found) {
        const asio::generic::stream_protocol::endpoint endpoint = each.endpoint();
        link->socket = Socket(io_);
        const auto [error] = co_await link->socket.async_connect(endpoint, with_error);
        last = error;
        if (!error || link->is_late()) break;
    }
    if (last || link->is_late()) link->fail("connect", concat("cannot connect to ", url.host, ":", url.port), last);
    error_code ignored;
    link->socket.set_option(tcp::no_delay(true), ignored);
}

asio::awaitable<void> HttpClient::shake_hands(std::shared_ptr<Link> link) {
    link->tls.emplace(link->socket, tls_);
    const std::string& host = options_.url.host;
    SSL_set_tlsext_host_name(link->tls->native_handle(), host.c_str());
    if (options_.checks_certificate) link->tls->set_verify_callback(asio::ssl::host_name_verification(host));
    const auto [error] = co_await link->tls->async_handshake(asio::ssl::stream_base::client, with_error);
    if (error) link->fail("TLS", concat("cannot agree on TLS with ", host, " (--insecure takes any certificate)"), error);
}

asio::awaitable<void> HttpClient::connect(std::shared_ptr<Link> link) {
    const ServerUrl& url = options_.url;
    if (url.unix_socket.empty()) {
        co_await connect_tcp(link);
    } else {
        const asio::generic::stream_protocol::endpoint endpoint = asio::local::stream_protocol::endpoint(url.unix_socket);
        const auto [error] = co_await link->socket.async_connect(endpoint, with_error);
        if (error) link->fail("connect", concat("cannot connect to ", url.unix_socket), error);
    }
    if (url.is_tls) co_await shake_hands(link);
}

template <typename Stream>
asio::awaitable<void> HttpClient::exchange(std::shared_ptr<Link> link, Stream& stream, std::string request, AnswerSink& sink) {
    sink.on_send();
    const auto [write_error, n_written] = co_await asio::async_write(stream, asio::buffer(request), with_error);
    if (write_error) link->fail("broken", "the server closed the connection while the request was sent", write_error);
    boost::beast::flat_buffer unread(max_unread_bytes);
    http::response_parser<http::buffer_body> parser;
    parser.header_limit(max_header_bytes);
    parser.body_limit(max_answer_bytes);
    const auto [head_error, n_head] = co_await http::async_read_header(stream, unread, parser, with_error);
    if (head_error) link->fail("broken", "the server's answer is not HTTP, or ends before its headers do", head_error);
    const auto type = parser.get()[http::field::content_type];
    sink.on_head(parser.get().result_int(), std::string_view(type.data(), type.size()));
    std::array<char, 16384> piece;
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = piece.data();
        body.size = piece.size();
        const auto [error, n_read] = co_await http::async_read_some(stream, unread, parser, with_error);
        const size_t n_bytes = piece.size() - body.size;
        if (n_bytes > 0 && !sink.on_bytes(std::string_view(piece.data(), n_bytes))) co_return;
        if (error == http::error::body_limit) throw CallFailure("too long", "the server's answer is longer than 1 GiB");
        if (error && error != http::error::need_buffer) link->fail("broken", "the answer breaks off", error);
    }
    sink.on_end();
}

asio::awaitable<void> HttpClient::call(HttpCall call, AnswerSink& sink) {
    const auto link = std::make_shared<Link>(io_);
    link->begin(options_.timeout);
    std::exception_ptr failure;
    try {
        co_await connect(link);
        std::string request = request_text(call);
        if (link->tls)
            co_await exchange(link, *link->tls, std::move(request), sink);
        else
            co_await exchange(link, link->socket, std::move(request), sink);
    } catch (...) {
        failure = std::current_exception();
    }
    link->end();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace quern
