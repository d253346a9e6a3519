#include "server/api_service.h"

#include <algorithm>

#include "server/endpoint_table.h"

namespace quern {
ApiService::ApiService(ModelStore& models, ServiceOptions options)
    : root_path_(std::move(options.root_path)),
      access_log_(std::move(options.access_log)),
      rules_(std::make_shared<const Rules>(std::move(options.access), std::move(options.cors))),
      api_{.models = models,
           .metrics = metrics_,
           .has_keys = rules_->access.has_keys(),
           .is_local = options.is_local,
           .root_path = root_path_} {
    for (const Endpoint& endpoint : endpoints())
        router_.add(endpoint.method, endpoint.path, [this, answer = endpoint.answer](const HttpRequest& request, const Waker& wake) {
            return answer(api_, request, wake);
        });
}

void ApiService::set_rules(AccessRules access, CorsRules cors) {
    auto rules = std::make_shared<const Rules>(std::move(access), std::move(cors));
    const std::lock_guard lock(mutex_);
    api_.has_keys = rules->access.has_keys();
    rules_ = std::move(rules);
}

void ApiService::reopen_access_log() {
    if (access_log_) access_log_->reopen();
}

std::shared_ptr<const ApiService::Rules> ApiService::rules() const {
    const std::lock_guard lock(mutex_);
    return rules_;
}

std::string ApiService::local_path(const std::string& path) const {
    const std::string& prefix = root_path_;
    const bool is_under = !prefix.empty() && path.starts_with(prefix) && path.size() > prefix.size() && path[prefix.size()] == '/';
    return is_under ? path.substr(prefix.size()) : path;
}

std::optional<HttpResponse> ApiService::refuse(const HttpRequest& head) {
    HttpRequest local = head;
    local.path = local_path(head.path);
    const std::shared_ptr<const Rules> rules = this->rules();
    try {
        if (rules->cors.is_preflight(local)) return std::nullopt;
        rules->access.check(local, rules->cors.allows(local));
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

bool ApiService::is_slow(const HttpRequest& request) const {
    return std::any_of(endpoints().begin(), endpoints().end(), [path = local_path(request.path)](const Endpoint& endpoint) {
        return endpoint.reads_files && endpoint.path == path;
    });
}

HttpHeaders ApiService::headers_for(const HttpRequest& request) { return rules()->cors.headers(request); }

HttpResponse ApiService::error(std::exception_ptr error, const std::string& path, std::string_view request_id) {
    return error_response(std::move(error), request_id, error_shape_of(local_path(path)));
}

std::string ApiService::late_error(const HttpResponse& refusal, const std::string& path) {
    return error_event(refusal, error_shape_of(local_path(path)));
}

void ApiService::on_served(const AccessRecord& record) {
    metrics_.add_request(record, router_.route_of(local_path(record.path)));
    if (access_log_) access_log_->write(record);
}

}  // namespace quern
