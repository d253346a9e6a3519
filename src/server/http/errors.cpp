#include "server/http/errors.h"

#include <new>

#include "base/log.h"
#include "base/printable.h"
#include "engine/engine.h"

namespace quern {
namespace {

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

Json error_body(const ApiError& error) {
    return {{"error",
             {{"message", error.what()},
              {"type", error_type(error.details().status)},
              {"param", text_or_null(error.details().param)},
              {"code", text_or_null(error.details().code)}}}};
}

HttpResponse error_response(const ApiError& error) { return error_response(error, error_body(error)); }

HttpResponse error_response(const ApiError& error, const Json& body) {
    return {.status = error.details().status, .headers = error.details().headers, .body = dump(body)};
}

ApiError shutting_down() {
    return ApiError("the server is shutting down", {.status = 503, .code = "shutting_down", .headers = {{"Retry-After", "5"}}});
}

}  // namespace quern
