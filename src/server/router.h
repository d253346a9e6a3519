// Which endpoint answers which method and path.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "server/endpoint_table.h"

namespace quern {

class Router {
  public:
    /// `endpoints` must outlive this.
    explicit Router(std::span<const Endpoint> endpoints);

    struct Match {
        const Endpoint* endpoint = nullptr;  ///< nullptr: nothing is there
        std::string parameter;               ///< what stands in place of its "{id}": the whole rest of the path, slashes included
        bool takes_method = false;           ///< else the path is known, and only by other methods
    };
    /// HEAD finds what GET does.
    Match match(const std::string& method, std::string_view path) const;

    /// Why nothing answers: 404 for an unknown path, 405 with the header Allow for a known path by another method.
    ApiError refusal(const std::string& method, const std::string& path) const;

    /// "GET, HEAD, OPTIONS", or "" for an unknown path.
    std::string allowed_methods(std::string_view path) const;

    /// How errors under an unknown path are worded: as those of the endpoint with which it shares most of its beginning.
    ErrorShape errors_near(std::string_view path) const;

  private:
    struct Route {
        std::string_view path;  // without the parameter
        bool has_parameter;
        const Endpoint* endpoint;

        bool matches(std::string_view wanted) const;
        bool takes(const std::string& method) const;
    };
    std::vector<Route> routes_;
};

}  // namespace quern
