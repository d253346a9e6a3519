#include "server/api_service.h"

#include "server/endpoint_table.h"

namespace quern {

ApiService::ApiService(ModelStore& models, ServiceOptions options)
    : options_(std::move(options)),
      api_{.models = models,
           .metrics = metrics_,
           .has_keys = options_.access.has_keys(),
           .is_local = options_.is_local,
           .root_path = options_.root_path} {
    for (const Endpoint& endpoint : endpoints())
        router_.add(endpoint.method, endpoint.path, [this, answer = endpoint.answer](const HttpRequest& request, const Waker& wake) {
            return answer(api_, request, wake);
        });
}

std::string ApiService::local_path(const std::string& path) const {
    const std::string& prefix = options_.root_path;
    const bool is_under = !prefix.empty() && path.starts_with(prefix) && path.size() > prefix.size() && path[prefix.size()] == '/';
    return is_under ? path.substr(prefix.size()) : path;
}

std::optional<HttpResponse> ApiService::refuse(const HttpRequest& head) {
    HttpRequest local = head;
    local.path = local_path(head.path);
    try {
        if (options_.cors.is_preflight(local)) return std::nullopt;
        options_.access.check(local, options_.cors.allows(local));
        if (local.method != "OPTIONS") router_.find(local.method, local.path);
        return std::nullopt;
    } catch (...) {
        return error(std::current_exception(), local.path, head.id);
    }
}

Answer ApiService::answer(const HttpRequest& request, const Waker& wake) {
    const std::string path = local_path(request.path);
    if (request.method == "OPTIONS") {
        const std::string allowed = router_.allowed_methods(path);
        return HttpResponse{.status = 204, .headers = {{"Allow", allowed.empty() ? "GET, HEAD, POST, OPTIONS" : allowed}}};
    }
    const Router::Match match = router_.find(request.method, path);
    if (match.parameter.empty()) return (*match.endpoint)(request, wake);
    HttpRequest with_parameter = request;
    with_parameter.parameter = match.parameter;
    return (*match.endpoint)(with_parameter, wake);
}

HttpHeaders ApiService::headers_for(const HttpRequest& request) { return options_.cors.headers(request); }

HttpResponse ApiService::error(std::exception_ptr error, const std::string& path, std::string_view request_id) {
    return error_response(std::move(error), request_id, error_shape_of(local_path(path)));
}

std::string ApiService::late_event(const HttpResponse& response, const std::string& path) {
    const bool has_name = response.status >= 400 && error_shape_of(local_path(path)) == ErrorShape::anthropic;
    return concat(has_name ? "event: error\n" : "", HttpService::late_event(response, path));
}

void ApiService::on_served(const AccessRecord& record) {
    metrics_.add_request(record, router_.route_of(local_path(record.path)));
    if (options_.access_log) options_.access_log->write(record);
}

}  // namespace quern
