// Which endpoint answers which method and path.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/http/answer.h"

namespace quern {

class Router {
  public:
    using Endpoint = std::function<Answer(const HttpRequest&, const Waker&)>;

    /// @param path  "/v1/models", or "/v1/models/{id}": the parameter takes the whole rest of the path, slashes included
    void add(std::string method, std::string path, Endpoint endpoint);

    struct Match {
        const Endpoint* endpoint = nullptr;
        std::string parameter;
    };
    /// HEAD finds what GET does.
    /// @throws ApiError  404 for an unknown path, 405 with the header Allow for a known path by another method
    Match find(const std::string& method, const std::string& path) const;

    /// "GET, HEAD, OPTIONS", or "" for an unknown path.
    std::string allowed_methods(const std::string& path) const;

    /// The path as it was added, "other" for an unknown one: for counting.
    std::string route_of(const std::string& path) const;

  private:
    struct Route {
        std::string method;
        std::string path;  // without the parameter
        bool has_parameter;
        Endpoint endpoint;

        bool matches(const std::string& wanted) const;
    };
    std::vector<Route> routes_;
};

}  // namespace quern
