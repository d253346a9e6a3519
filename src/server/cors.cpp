#include "server/cors.h"

#include <algorithm>

namespace quern {

bool CorsRules::allows(const HttpRequest& request) const {
    const auto origin = request.header("origin");
    if (!origin) return false;
    return std::any_of(origins_.begin(), origins_.end(), [&](const std::string& each) { return each == "*" || each == *origin; });
}

bool CorsRules::is_preflight(const HttpRequest& request) const {
    return request.method == "OPTIONS" && request.header("access-control-request-method").has_value() && allows(request);
}

HttpHeaders CorsRules::headers(const HttpRequest& request) const {
    if (origins_.empty()) return {};
    HttpHeaders headers = {{"Vary", "Origin"}};
    if (!allows(request)) return headers;
    const bool all = std::find(origins_.begin(), origins_.end(), "*") != origins_.end();
    headers.emplace_back("Access-Control-Allow-Origin", all ? "*" : std::string(*request.header("origin")));
    headers.emplace_back("Access-Control-Expose-Headers", "x-request-id, Retry-After");
    if (!is_preflight(request)) return headers;
    headers.emplace_back("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS");
    const auto wanted = request.header("access-control-request-headers");
    headers.emplace_back("Access-Control-Allow-Headers", wanted ? std::string(*wanted) : "Authorization, Content-Type");
    headers.emplace_back("Access-Control-Max-Age", "600");
    return headers;
}

}  // namespace quern
