#include "server/http/errors.h"

#include <new>

#include "base/log.h"
#include "base/printable.h"
#include "engine/engine.h"
#include "server/http/answer.h"

namespace quern {
namespace {

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

const char* error_type(int status) {
    switch (status) {
        case 403:
            return "permission_error";
        case 429:
            return "rate_limit_error";
        case 501:
            return "not_supported_error";
        default:
            return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

ApiError server_error(const std::string& message, std::string_view request_id) {
    log_error(concat("request ", request_id, ": ", message));
    return ApiError(message, {.status = 500, .code = "server_error"});
}

Json openai_body(const ApiError& error) {
    return {{"error",
             {{"message", error.what()},
              {"type", error_type(error.details().status)},
              {"param", text_or_null(error.details().param)},
              {"code", text_or_null(error.details().code)}}}};
}

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

std::string error_body(const ApiError& error, ErrorShape shape) {
    Json body;
    switch (shape) {
        case ErrorShape::openai:
        case ErrorShape::responses:
            body = openai_body(error);
            break;
        case ErrorShape::anthropic:
            body = {{"type", "error"}, {"error", {{"type", anthropic_type(error.details().status)}, {"message", error.what()}}}};
            break;
        case ErrorShape::ollama:
            body = {{"error", error.what()}};
            break;
    }
    return dump(body);
}

std::string event_of(const std::string& body, ErrorShape shape) {
    switch (shape) {
        case ErrorShape::anthropic:
            return concat("event: error\ndata: ", body, "\n\n");
        case ErrorShape::responses: {
            const Json error = Json::parse(body).value("error", Json::object());
            Json event = {{"type", "error"}, {"sequence_number", 0}};
            for (const char* key : {"code", "message", "param"}) event[key] = error.value(key, Json());
            return concat("event: error\ndata: ", dump(event), "\n\n");
        }
        case ErrorShape::ollama:
            return body + "\n";
        case ErrorShape::openai:
            break;
    }
    return concat("data: ", body, "\n\n");
}

}  // namespace

ApiError to_api_error(std::exception_ptr error, std::string_view request_id) {
    try {
        std::rethrow_exception(error);
    } catch (const ApiError& known) {
        return known;
    } catch (const ContextOverflow& overflow) {
        return ApiError(overflow.what(), {.status = 400, .code = "context_length_exceeded", .param = overflow.field()});
    } catch (const InvalidInput& invalid) {
        return ApiError(one_line(invalid.what()), {.status = 400, .code = "invalid_value", .param = invalid.field()});
    } catch (const EngineBusy& busy) {
        return ApiError(busy.what(), {.status = 429, .code = "rate_limit_exceeded", .headers = {{"Retry-After", "1"}}});
    } catch (const InternalError& ours) {  // its text names our sources: for the log, not for the client
        server_error(ours.what(), request_id);
        return ApiError("the server made a mistake; its log has the details", {.status = 500, .code = "server_error"});
    } catch (const Error& failed) {
        return server_error(failed.what(), request_id);
    } catch (const std::bad_alloc&) {
        return server_error("the server is out of memory", request_id);
    } catch (const std::exception& other) {
        server_error(other.what(), request_id);
    } catch (...) {
        server_error("something was thrown that does not say what it is", request_id);
    }
    return ApiError("the server made a mistake; its log has the details", {.status = 500, .code = "server_error"});
}

HttpResponse error_response(const ApiError& error, ErrorShape shape) {
    return {.status = error.details().status, .headers = error.details().headers, .body = error_body(error, shape)};
}

HttpResponse error_response(std::exception_ptr error, std::string_view request_id, ErrorShape shape) {
    return error_response(to_api_error(std::move(error), request_id), shape);
}

std::string error_event(std::exception_ptr error, std::string_view request_id, ErrorShape shape) {
    return event_of(error_body(to_api_error(std::move(error), request_id), shape), shape);
}

std::string error_event(const HttpResponse& refusal, ErrorShape shape) { return event_of(refusal.body, shape); }

ApiError shutting_down() {
    return ApiError("the server is shutting down", {.status = 503, .code = "shutting_down", .headers = {{"Retry-After", "5"}}});
}

std::string EventSource::error_text(std::exception_ptr error, std::string_view request_id) const {
    return error_event(std::move(error), request_id);
}

std::string HttpService::late_error(const HttpResponse& refusal, const std::string&) { return error_event(refusal); }

HttpResponse HttpService::error(std::exception_ptr error, const std::string&, std::string_view request_id) {
    return error_response(std::move(error), request_id);
}

}  // namespace quern
