#include "server/router.h"

#include "base/utf8.h"

namespace quern {
namespace {

/// How many parts between slashes two paths have in common, from their beginning.
size_t n_shared_parts(std::string_view a, std::string_view b) {
    const auto ends_part = [](std::string_view path, size_t at) { return at >= path.size() || path[at] == '/'; };
    size_t n_parts = 0;
    for (size_t at = 1;; ++at) {
        if (ends_part(a, at) && ends_part(b, at)) ++n_parts;
        if (at >= a.size() || at >= b.size() || a[at] != b[at]) return n_parts;
    }
}

}  // namespace

Router::Router(std::span<const Endpoint> endpoints) {
    for (const Endpoint& endpoint : endpoints) {
        const std::string_view path = endpoint.path;
        const size_t brace = path.find('{');
        routes_.push_back({path.substr(0, brace), brace != std::string_view::npos, &endpoint});
    }
}

bool Router::Route::matches(std::string_view wanted) const {
    return has_parameter ? wanted.size() > path.size() && wanted.starts_with(path) : wanted == path;
}

bool Router::Route::takes(const std::string& method) const {
    const std::string_view own = endpoint->method;
    return own == method || (method == "HEAD" && own == "GET");
}

Router::Match Router::match(const std::string& method, std::string_view path) const {
    const Route* found = nullptr;
    for (const Route& route : routes_) {
        if (!route.matches(path)) continue;
        if (route.takes(method))
            return {route.endpoint, std::string(route.has_parameter ? path.substr(route.path.size()) : std::string_view()), true};
        if (found == nullptr) found = &route;
    }
    return {.endpoint = found == nullptr ? nullptr : found->endpoint, .parameter = {}};
}

ApiError Router::refusal(const std::string& method, const std::string& path) const {
    const std::string allowed = allowed_methods(path);
    if (allowed.empty()) return ApiError(concat("unknown URL: ", method, " ", repair_utf8(path)), {.status = 404, .code = "unknown_url"});
    return ApiError(concat(method, " is not allowed for ", path, ", but ", allowed, " are"),
                    {.status = 405, .code = "method_not_allowed", .headers = {{"Allow", allowed}}});
}

std::string Router::allowed_methods(std::string_view path) const {
    std::string methods;
    for (const Route& route : routes_)
        if (route.matches(path)) methods += concat(route.endpoint->method, route.takes("HEAD") ? ", HEAD, " : ", ");
    return methods.empty() ? methods : methods + "OPTIONS";
}

ErrorShape Router::errors_near(std::string_view path) const {
    size_t most = 0;
    ErrorShape errors = ErrorShape::openai;
    for (const Route& route : routes_) {
        const size_t n_shared = n_shared_parts(route.path, path);
        if (n_shared <= most) continue;
        most = n_shared;
        errors = route.endpoint->errors;
    }
    return errors;
}

}  // namespace quern
