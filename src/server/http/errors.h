// The one place where exceptions become errors of HTTP: {"error":{message,type,param,code}} as OpenAI's API has it, where the service has
// no other words.
#pragma once

#include <exception>
#include <string>

#include "base/error.h"
#include "server/http/event_text.h"

namespace quern {

/// A refusal with its HTTP status. `code` and `param` may be empty: null in the answer.
class ApiError : public Error {
  public:
    struct Details {
        int status = 400;
        std::string code = {};
        std::string param = {};
        HttpHeaders headers = {};
    };
    ApiError(const std::string& message, Details details) : Error(message), details_(std::move(details)) {}
    const Details& details() const noexcept { return details_; }

  private:
    Details details_;
};

/// InvalidInput: 400 with its field as `param`; ContextOverflow: 400 with code context_length_exceeded; EngineBusy: 429 with Retry-After;
/// ApiError: as it says; all else: 500. Server errors are logged with the request's id.
ApiError to_api_error(std::exception_ptr error, std::string_view request_id);

Json error_body(const ApiError& error);
HttpResponse error_response(const ApiError& error);
/// With the error's status and headers, and other words.
HttpResponse error_response(const ApiError& error, const Json& body);

/// 503 with Retry-After: the server is going down.
ApiError shutting_down();

}  // namespace quern
