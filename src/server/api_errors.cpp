#include "server/api_errors.h"

namespace quern {
namespace {

const char* anthropic_type(int status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 503:
            return "overloaded_error";
        default:
            return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

Json body_of(const ApiError& error, ErrorShape shape) {
    switch (shape) {
        case ErrorShape::anthropic:
            return {{"type", "error"}, {"error", {{"type", anthropic_type(error.details().status)}, {"message", error.what()}}}};
        case ErrorShape::ollama:
            return {{"error", error.what()}};
        case ErrorShape::openai:
        case ErrorShape::responses:
            break;
    }
    return error_body(error);
}

}  // namespace

HttpResponse error_response(const ApiError& error, ErrorShape shape) { return error_response(error, body_of(error, shape)); }

std::string error_event(const ApiError& error, ErrorShape shape) {
    switch (shape) {
        case ErrorShape::anthropic:
            return named_event("error", body_of(error, shape));
        case ErrorShape::responses: {
            Json json = {{"type", "error"}, {"sequence_number", 0}};
            json.update(response_error(error));
            return named_event("error", json);
        }
        case ErrorShape::ollama:
            return json_line(body_of(error, shape));
        case ErrorShape::openai:
            break;
    }
    return event(body_of(error, shape));
}

Json response_error(const ApiError& error) {
    const Json body = error_body(error);
    const Json& all = body["error"];
    return {{"code", all["code"]}, {"message", all["message"]}, {"param", all["param"]}};
}

}  // namespace quern
