#include "server/api_service.h"

namespace quern {
ApiService::ApiService(ModelStore& models, ServiceOptions options)
    : router_(endpoints()),
      root_path_(std::move(options.root_path)),
      access_log_(std::move(options.access_log)),
      rules_(std::make_shared<const Rules>(std::move(options.access), std::move(options.cors))),
      api_{.models = models,
           .metrics = metrics_,
           .has_keys = rules_->access.has_keys(),
           .is_local = options.is_local,
           .root_path = root_path_} {}

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

std::optional<HttpResponse> ApiService::refuse(HttpRequest& head) {
    HttpRequest local = head;
    local.path = local_path(head.path);
    Router::Match match = router_.match(local.method, local.path);
    head.endpoint = match.endpoint;
    head.parameter = std::move(match.parameter);
    const std::shared_ptr<const Rules> rules = this->rules();
    try {
        if (rules->cors.is_preflight(local)) return std::nullopt;
        rules->access.check(local, rules->cors.allows(local));
        if (!match.takes_method && local.method != "OPTIONS") throw router_.refusal(local.method, local.path);
        return std::nullopt;
    } catch (...) {
        return error_response(to_api_error(std::current_exception(), head.id), errors_for(head.endpoint, head.path));
    }
}

Answer ApiService::answer(const HttpRequest& request, const Waker& wake) {
    if (request.method != "OPTIONS") return request.endpoint->answer(api_, request, wake);
    const std::string allowed = router_.allowed_methods(local_path(request.path));
    return HttpResponse{.status = 204, .headers = {{"Allow", allowed.empty() ? "GET, HEAD, POST, OPTIONS" : allowed}}};
}

bool ApiService::is_slow(const HttpRequest& request) const { return request.endpoint != nullptr && request.endpoint->reads_files; }

HttpHeaders ApiService::headers_for(const HttpRequest& request) { return rules()->cors.headers(request); }

ErrorShape ApiService::errors_for(const Endpoint* endpoint, const std::string& path) const {
    return endpoint == nullptr ? router_.errors_near(local_path(path)) : endpoint->errors;
}

HttpResponse ApiService::error(std::exception_ptr error, const AccessRecord& request) {
    return error_response(to_api_error(std::move(error), request.id), errors_for(request.endpoint, request.path));
}

std::string ApiService::error_event(std::exception_ptr error, const AccessRecord& request) {
    return quern::error_event(to_api_error(std::move(error), request.id), errors_for(request.endpoint, request.path));
}

void ApiService::on_served(const AccessRecord& record) {
    metrics_.add_request(record, record.endpoint == nullptr ? "other" : record.endpoint->path);
    if (access_log_) access_log_->write(record);
}

}  // namespace quern
