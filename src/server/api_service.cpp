#include "server/api_service.h"

#include "server/endpoint_table.h"
#include "server/generation/wording.h"
#include "server/http/errors.h"
#include "server/native/status.h"
#include "server/ollama/models.h"
#include "server/openai/models.h"

namespace quern {
namespace {

Answer health(const HttpRequest&, const Waker&) { return HttpResponse{.body = R"({"status":"ok"})"}; }

/// Loading and unloading changes what others get: never for everybody.
void require_keys(const AccessRules& access) {
    if (!access.has_keys())
        throw ApiError("models are loaded and unloaded only by clients with a key: start the server with --api-key",
                       {.status = 403, .code = "api_key_required"});
}

ErrorShape shape_of(const std::string& path) {
    if (path.starts_with("/v1/messages")) return ErrorShape::anthropic;
    return path.starts_with("/api/") ? ErrorShape::ollama : ErrorShape::openai;
}

}  // namespace

ApiService::ApiService(ModelStore& models, ServiceOptions options)
    : options_(std::move(options)), api_{.models = models, .metrics = metrics_} {
    add_openai_routes();
    add_other_routes();
}

void ApiService::add_openai_routes() {
    router_.add("GET", "/v1/models", [this](const HttpRequest&, const Waker&) { return list_models(api_.models); });
    router_.add("POST", "/v1/models/load", [this](const HttpRequest& request, const Waker& wake) {
        require_keys(options_.access);
        return load_model_now(api_, request, wake);
    });
    router_.add("POST", "/v1/models/unload", [this](const HttpRequest& request, const Waker&) {
        require_keys(options_.access);
        return unload_model(api_, request);
    });
    router_.add("GET", "/v1/models/{id}",
                [this](const HttpRequest& request, const Waker&) { return describe_model(api_.models, request.parameter); });
    router_.add("GET", "/models", [this](const HttpRequest&, const Waker&) { return list_models(api_.models); });
    for (const Endpoint& endpoint : endpoints())
        router_.add("POST", endpoint.path, [this, answer = endpoint.answer](const HttpRequest& request, const Waker& wake) {
            return answer(api_, request, wake);
        });
}

void ApiService::add_other_routes() {
    router_.add("GET", "/health", health);
    router_.add("GET", "/v1/health", health);
    router_.add("GET", "/ready", [this](const HttpRequest&, const Waker&) { return readiness(api_); });
    router_.add("GET", "/metrics", [this](const HttpRequest&, const Waker&) { return list_metrics(api_); });
    router_.add("GET", "/props", [this](const HttpRequest& request, const Waker&) { return describe_properties(api_, request); });
    router_.add("GET", "/slots", [this](const HttpRequest& request, const Waker&) { return list_slots(api_, request); });
    router_.add("GET", "/api/tags", [this](const HttpRequest&, const Waker&) { return ollama_tags(api_); });
    router_.add("GET", "/api/ps", [this](const HttpRequest&, const Waker&) { return ollama_running(api_); });
    router_.add("GET", "/api/version", [](const HttpRequest&, const Waker&) { return ollama_version(); });
    router_.add("GET", "/openapi.json",
                [this](const HttpRequest&, const Waker&) { return json_response(openapi_document(options_.root_path)); });
    router_.add("GET", "/docs", [](const HttpRequest&, const Waker&) {
        return HttpResponse{.content_type = "text/html; charset=utf-8", .body = documentation_page()};
    });
    router_.add("GET", "/", [](const HttpRequest&, const Waker&) {
        return HttpResponse{.content_type = "text/plain; charset=utf-8", .body = "quern is running; its API is described at docs\n"};
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
    return error_response(std::move(error), request_id, shape_of(local_path(path)));
}

void ApiService::on_served(const AccessRecord& record) {
    metrics_.add_request(record, router_.route_of(local_path(record.path)));
    if (options_.access_log) options_.access_log->write(record);
}

}  // namespace quern
