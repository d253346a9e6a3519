// Reads requests off a channel, within limits. The HTTP grammar is Boost.Beast's.
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "server/http/answer.h"
#include "server/http/byte_channel.h"
#include "server/http/limits.h"

namespace quern {

/// Bytes of request bodies that all connections hold together, bounded.
class BodyBudget {
  public:
    explicit BodyBudget(uint64_t n_bytes) : limit_(n_bytes) {}
    bool take(uint64_t n_bytes);
    void give_back(uint64_t n_bytes) { used_ -= n_bytes; }

  private:
    const uint64_t limit_;
    std::atomic<uint64_t> used_{0};
};

/// A part of a BodyBudget, given back at the end of its scope.
class BodyShare {
  public:
    explicit BodyShare(BodyBudget& budget) : budget_(budget) {}
    ~BodyShare() { give_back(); }
    BodyShare(const BodyShare&) = delete;
    BodyShare& operator=(const BodyShare&) = delete;
    bool grow(uint64_t n_bytes);
    void give_back() { budget_.give_back(std::exchange(n_bytes_, 0)); }

  private:
    BodyBudget& budget_;
    uint64_t n_bytes_ = 0;
};

struct ReadResult {
    std::optional<HttpRequest> request;   ///< complete, unless there is a refusal too: then its headers
    std::optional<HttpResponse> refusal;  ///< to be sent in place of an answer; neither: the client has gone or sent nothing
    bool keep_alive = false;              ///< the client expects to send more requests, and the next one can be told from this
    bool is_http_1_0 = false;             ///< the client knows no chunks
};

/// Reads the next request. The service may refuse it before its body is read.
boost::asio::awaitable<ReadResult> read_request(ByteChannel& channel, HttpService& service, const HttpLimits& limits, BodyShare& share);

/// Reads what a refused client still sends, and drops it, until it stops or the limits are reached. Else its system would throw the
/// answer away together with the connection.
boost::asio::awaitable<void> drain(ByteChannel& channel, const HttpLimits& limits);

/// A new id, or the client's own header x-request-id where that is short and plain.
std::string request_id_of(const HttpRequest& request);

}  // namespace quern
