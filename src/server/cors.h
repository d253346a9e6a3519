// Which web pages of other sites may read answers. Off unless the server's owner names them. Source: WHATWG Fetch, CORS protocol.
#pragma once

#include <string>
#include <vector>

#include "server/http/message.h"

namespace quern {

/// Immutable: any thread. Credentials are never allowed: keys go in headers, not in cookies.
class CorsRules {
  public:
    /// @param origins  "https://app.example", or "*" for all; none: no other site
    explicit CorsRules(std::vector<std::string> origins = {}) : origins_(std::move(origins)) {}

    /// True when the request comes from a page that may use this server.
    bool allows(const HttpRequest& request) const;
    /// The browser asks before it sends the request itself.
    bool is_preflight(const HttpRequest& request) const;
    /// What the answer to this request says to the browser.
    HttpHeaders headers(const HttpRequest& request) const;

  private:
    std::vector<std::string> origins_;
};

}  // namespace quern
