#include "server/http/router.h"

#include "base/utf8.h"
#include "server/http/errors.h"

namespace quern {

void Router::add(std::string method, std::string path, Endpoint endpoint) {
    const size_t brace = path.find('{');
    const bool has_parameter = brace != std::string::npos;
    if (has_parameter) path.resize(brace);
    routes_.push_back({std::move(method), std::move(path), has_parameter, std::move(endpoint)});
}

bool Router::Route::matches(const std::string& wanted) const {
    return has_parameter ? wanted.size() > path.size() && wanted.starts_with(path) : wanted == path;
}

std::string Router::allowed_methods(const std::string& path) const {
    std::string methods;
    for (const Route& route : routes_)
        if (route.matches(path)) methods += route.method + (route.method == "GET" ? ", HEAD, " : ", ");
    return methods.empty() ? methods : methods + "OPTIONS";
}

Router::Match Router::find(const std::string& method, const std::string& path) const {
    for (const Route& route : routes_) {
        if (!route.matches(path) || (route.method != method && !(method == "HEAD" && route.method == "GET"))) continue;
        return {&route.endpoint, route.has_parameter ? path.substr(route.path.size()) : std::string()};
    }
    const std::string allowed = allowed_methods(path);
    if (allowed.empty()) throw ApiError(concat("unknown URL: ", method, " ", repair_utf8(path)), {.status = 404, .code = "unknown_url"});
    throw ApiError(concat(method, " is not allowed for ", path, ", but ", allowed, " are"),
                   {.status = 405, .code = "method_not_allowed", .headers = {{"Allow", allowed}}});
}

std::string Router::route_of(const std::string& path) const {
    for (const Route& route : routes_)
        if (route.matches(path)) return route.has_parameter ? route.path + "{}" : route.path;
    return "other";
}

}  // namespace quern
