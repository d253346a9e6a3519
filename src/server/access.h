// Who may use the server: API keys, and without one the defence against web pages that reach for a server on the user's own machine.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"

namespace quern {

/// No key is asked for: what answers there tells nothing about users or models, and browsers cannot send a key.
bool is_public_path(std::string_view path);

/// Immutable: any thread. Keys are kept as digests only.
///
/// With keys, every path but the health checks and the API's description needs one, as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.
/// Without, and listening on a loopback address, the Host header must be localhost, a loopback address, or the host that the server
/// was given: a web page can point a name of its own at 127.0.0.1, but it cannot change the Host that the browser sends then. An Origin
/// that is a web site elsewhere is refused for the same reason.
class AccessRules {
  public:
    /// @param is_local  only this machine reaches the server
    AccessRules(const std::vector<std::string>& api_keys, std::string host, bool is_local);

    /// @param from_allowed_page  the request comes from a web page that may use this server
    /// @throws ApiError  401 or 403
    void check(const HttpRequest& request, bool from_allowed_page = false) const;

    bool has_keys() const { return !keys_.empty(); }

  private:
    using Digest = std::array<unsigned char, 32>;
    static Digest digest(std::string_view key);

    void check_key(const HttpRequest& request) const;
    bool is_own_host(std::string_view host) const;

    std::vector<Digest> keys_;
    std::string host_;
    bool is_local_;
};

}  // namespace quern
