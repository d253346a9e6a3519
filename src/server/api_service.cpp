#include "server/api_service.h"

#include "server/http/errors.h"
#include "server/openai/chat.h"
#include "server/openai/completions.h"
#include "server/openai/models.h"

namespace quern {
namespace {

Answer health(const HttpRequest&, const Waker&) { return HttpResponse{.body = R"({"status":"ok"})"}; }

}  // namespace

ApiService::ApiService(const ModelStore& models, AccessRules access) : access_(std::move(access)) {
    router_.add("GET", "/health", health);
    router_.add("GET", "/v1/health", health);
    router_.add("GET", "/v1/models", [&models](const HttpRequest&, const Waker&) { return list_models(models); });
    router_.add("GET", "/v1/models/{id}",
                [&models](const HttpRequest& request, const Waker&) { return describe_model(models, request.parameter); });
    router_.add("POST", "/v1/completions",
                [&models](const HttpRequest& request, const Waker& wake) { return answer_completion(models, request, wake); });
    router_.add("POST", "/v1/chat/completions",
                [&models](const HttpRequest& request, const Waker& wake) { return answer_chat(models, request, wake); });
}

std::optional<HttpResponse> ApiService::refuse(const HttpRequest& head) {
    try {
        access_.check(head);
        if (head.method != "OPTIONS") router_.find(head.method, head.path);
        return std::nullopt;
    } catch (...) {
        return error_response(std::current_exception(), head.id);
    }
}

Answer ApiService::answer(const HttpRequest& request, const Waker& wake) {
    if (request.method == "OPTIONS") {
        const std::string allowed = router_.allowed_methods(request.path);
        return HttpResponse{.status = 204, .headers = {{"Allow", allowed.empty() ? "GET, HEAD, POST, OPTIONS" : allowed}}};
    }
    const Router::Match match = router_.find(request.method, request.path);
    if (match.parameter.empty()) return (*match.endpoint)(request, wake);
    HttpRequest with_parameter = request;
    with_parameter.parameter = match.parameter;
    return (*match.endpoint)(with_parameter, wake);
}

}  // namespace quern
