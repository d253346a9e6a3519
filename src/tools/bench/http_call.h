// One request to a server, and what comes back as it comes. The server is not trusted: everything it sends is bounded.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "base/error.h"
#include "tools/bench/server_url.h"

namespace quern {

/// A request that failed. `kind` is short and the same for all that failed alike: "connect", "timeout", "HTTP 401".
class CallFailure : public Error {
  public:
    CallFailure(std::string kind, const std::string& message) : Error(message), kind_(std::move(kind)) {}
    const std::string& kind() const noexcept { return kind_; }

  private:
    std::string kind_;
};

/// Takes one answer, piece by piece. What it throws ends the call.
class AnswerSink {
  public:
    virtual ~AnswerSink() = default;
    /// The connection stands; the request is written next.
    virtual void on_send() {}
    virtual void on_head(int status, std::string_view content_type) = 0;
    /// False: nothing more is wanted.
    virtual bool on_bytes(std::string_view bytes) = 0;
    /// The answer is complete.
    virtual void on_end() {}
};

struct HttpCall {
    const char* method = "POST";
    std::string path;  ///< "/v1/completions"
    std::string body;
};

/// Makes calls on connections of their own. One thread.
class HttpClient {
  public:
    struct Options {
        ServerUrl url;
        std::string api_key;                         ///< "": none
        std::chrono::milliseconds timeout{600'000};  ///< for a whole call
        bool checks_certificate = true;
    };

    /// `io` must outlive this.
    HttpClient(boost::asio::io_context& io, Options options);

    /// `sink` must live until it is done. @throws CallFailure, and what the sink throws
    boost::asio::awaitable<void> call(HttpCall call, AnswerSink& sink);

    const ServerUrl& url() const { return options_.url; }

  private:
    class Link;

    boost::asio::awaitable<void> connect(std::shared_ptr<Link> link);
    boost::asio::awaitable<void> connect_tcp(std::shared_ptr<Link> link);
    boost::asio::awaitable<void> shake_hands(std::shared_ptr<Link> link);
    template <typename Stream>
    boost::asio::awaitable<void> exchange(std::shared_ptr<Link> link, Stream& stream, std::string request, AnswerSink& sink);
    std::string request_text(const HttpCall& call) const;

    boost::asio::io_context& io_;
    const Options options_;
    boost::asio::ssl::context tls_;
};

}  // namespace quern
