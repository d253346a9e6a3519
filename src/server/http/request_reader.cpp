#include "server/http/request_reader.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "server/http/errors.h"
#include "server/http/random_id.h"

namespace quern {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Parser = http::request_parser<http::buffer_body>;
using Clock = ByteChannel::Clock;

HttpResponse refusal(int status, const std::string& message, const char* code = "") {
    return error_response(ApiError(message, {.status = status, .code = code}));
}

HttpResponse refusal_of(const boost::system::error_code& error, const HttpLimits& limits) {
    if (error == http::error::header_limit)
        return refusal(431, concat("the request's headers are longer than ", limits.header_bytes, " bytes"));
    if (error == http::error::body_limit)
        return refusal(413, concat("the request's body is longer than ", limits.body_bytes, " bytes"), "request_too_large");
    return refusal(400, concat("this is not HTTP/1.1 as it should be: ", error.message()));
}

HttpRequest to_request(const Parser& parser) {
    const auto& message = parser.get();
    HttpRequest request;
    request.method = std::string(message.method_string());
    const std::string_view target(message.target().data(), message.target().size());
    if (const size_t mark = target.find('?'); mark != std::string_view::npos) request.query = std::string(target.substr(mark + 1));
    for (const auto& field : message) request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    request.id = request_id_of(request);
    return request;
}

/// One request being read.
class RequestReading {
  public:
    RequestReading(ByteChannel& channel, const HttpLimits& limits, BodyShare& share) : channel_(channel), limits_(limits), share_(share) {
        parser_.header_limit(limits.header_bytes);
        parser_.body_limit(limits.body_bytes);
    }

    asio::awaitable<ReadResult> run(HttpService& service);

  private:
    asio::awaitable<bool> read_head();
    asio::awaitable<void> read_body();
    asio::awaitable<bool> wait_for_more(Clock::time_point deadline);
    bool check_head();
    boost::system::error_code parse();

    ByteChannel& channel_;
    const HttpLimits& limits_;
    BodyShare& share_;
    Parser parser_;
    ReadResult result_;
    size_t n_seen_ = 0;  // of channel_.input(): the parser needs more than these
};

// False: the channel is gone, or the deadline has passed.
asio::awaitable<bool> RequestReading::wait_for_more(Clock::time_point deadline) {
    const auto ready = [this] { return channel_.input().size() > n_seen_ || channel_.is_gone(); };
    const bool in_time = co_await channel_.wait(ready, deadline);
    co_return in_time&& channel_.input().size() > n_seen_;
}

boost::system::error_code RequestReading::parse() {
    boost::system::error_code error;
    const std::string_view input = channel_.input();
    const size_t n_used = parser_.put(asio::const_buffer(input.data(), input.size()), error);
    channel_.consume(n_used);
    n_seen_ = input.size() - n_used;
    if (error == http::error::need_more) error = {};
    return error;
}

asio::awaitable<bool> RequestReading::read_head() {
    const bool is_there = co_await wait_for_more(Clock::now() + limits_.idle_time);
    if (!is_there) co_return false;
    const auto deadline = Clock::now() + limits_.header_time;
    for (;;) {
        const boost::system::error_code error = parse();
        if (error) {
            if (parser_.is_header_done()) result_.request = to_request(parser_);
            result_.refusal = refusal_of(error, limits_);
            co_return false;
        }
        if (parser_.is_header_done()) co_return true;
        const bool more = co_await wait_for_more(deadline);
        if (more) continue;
        if (!channel_.is_gone()) result_.refusal = refusal(408, "the request's headers did not arrive in time");
        co_return false;
    }
}

asio::awaitable<void> RequestReading::read_body() {
    std::string piece(64 << 10, '\0');
    const auto deadline = Clock::now() + limits_.body_time;
    parser_.eager(true);
    n_seen_ = 0;
    while (!parser_.is_done()) {
        const bool more = co_await wait_for_more(std::min(deadline, Clock::now() + limits_.body_pause));
        if (!more) {
            if (!channel_.is_gone()) result_.refusal = refusal(408, "the request's body did not arrive in time");
            result_.request.reset();
            co_return;
        }
        auto& target = parser_.get().body();
        target.data = piece.data();
        target.size = piece.size();
        target.more = true;
        const boost::system::error_code error = parse();
        const size_t n_bytes = piece.size() - target.size;
        if (!share_.grow(n_bytes)) {
            result_.refusal = refusal(503, "the server holds as many request bodies as it can; try again later", "overloaded");
            co_return;
        }
        result_.request->body.append(piece.data(), n_bytes);
        if (error == http::error::need_buffer) {
            n_seen_ = 0;  // what is there has not been looked at yet
        } else if (error) {
            result_.refusal = refusal_of(error, limits_);
            co_return;
        }
    }
}

// False: the request is refused for its form.
bool RequestReading::check_head() {
    const auto& message = parser_.get();
    HttpRequest& request = *result_.request;
    const std::optional<std::string> path = decode_path(std::string_view(message.target().data(), message.target().size()));
    if (!path) {
        result_.refusal = refusal(400, "the request's path is not percent-encoded as it should be");
        return false;
    }
    request.path = *path;
    if (message.version() >= 11 && std::count_if(request.headers.begin(), request.headers.end(),
                                                 [](const auto& header) { return equals_ignoring_case(header.first, "host"); }) != 1) {
        result_.refusal = refusal(400, "an HTTP/1.1 request has one Host header");
        return false;
    }
    return true;
}

asio::awaitable<ReadResult> RequestReading::run(HttpService& service) {
    const bool has_head = co_await read_head();
    if (!has_head) co_return std::move(result_);
    result_.request = to_request(parser_);
    result_.is_http_1_0 = parser_.get().version() < 11;
    if (!check_head()) co_return std::move(result_);
    result_.keep_alive = parser_.get().keep_alive();
    result_.refusal = service.refuse(*result_.request);
    if (result_.refusal) {
        if (!parser_.is_done()) result_.keep_alive = false;  // its body is still on its way
        co_return std::move(result_);
    }
    const auto expect = result_.request->header("expect");
    if (expect && !equals_ignoring_case(*expect, "100-continue")) {
        result_.refusal = refusal(417, "of expectations only 100-continue is known");
        result_.keep_alive = false;
        co_return std::move(result_);
    }
    const auto encoding = result_.request->header("content-encoding");
    if (encoding && !encoding->empty() && !equals_ignoring_case(*encoding, "identity") && !parser_.is_done()) {
        result_.refusal = refusal(415, "compressed bodies are not read: send this one without Content-Encoding", "unsupported_encoding");
        result_.keep_alive = false;
        co_return std::move(result_);
    }
    if (expect && !parser_.is_done() && !result_.is_http_1_0) {
        const bool written = co_await channel_.write("HTTP/1.1 100 Continue\r\n\r\n", limits_.write_time);
        if (!written) co_return ReadResult{};
    }
    co_await read_body();
    if (result_.refusal) result_.keep_alive = false;
    co_return std::move(result_);
}

}  // namespace

bool BodyBudget::take(uint64_t n_bytes) {
    if (used_.fetch_add(n_bytes) + n_bytes <= limit_) return true;
    used_ -= n_bytes;
    return false;
}

bool BodyShare::grow(uint64_t n_bytes) {
    if (!budget_.take(n_bytes)) return false;
    n_bytes_ += n_bytes;
    return true;
}

std::string request_id_of(const HttpRequest& request) {
    constexpr size_t max_length = 128;
    const auto given = request.header("x-request-id");
    const auto is_plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    };
    if (given && !given->empty() && given->size() <= max_length && std::all_of(given->begin(), given->end(), is_plain))
        return std::string(*given);
    return random_id("req_");
}

asio::awaitable<ReadResult> read_request(ByteChannel& channel, HttpService& service, const HttpLimits& limits, BodyShare& share) {
    RequestReading reading(channel, limits, share);
    ReadResult result = co_await reading.run(service);
    co_return result;
}

asio::awaitable<void> drain(ByteChannel& channel, const HttpLimits& limits) {
    const auto deadline = Clock::now() + limits.drain_time;
    for (uint64_t n_bytes = 0; n_bytes < limits.drain_bytes;) {
        n_bytes += channel.input().size();
        channel.consume(channel.input().size());
        const bool in_time = co_await channel.wait([&channel] { return !channel.input().empty() || channel.is_gone(); }, deadline);
        if (!in_time || channel.input().empty()) break;
    }
}

}  // namespace quern
