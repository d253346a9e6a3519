// The one place where exceptions become HTTP answers, in the shape of OpenAI's API: {"error":{message,type,param,code}}.
#pragma once

#include <exception>
#include <string>

#include "base/error.h"
#include "server/http/message.h"

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
HttpResponse error_response(std::exception_ptr error, std::string_view request_id);
HttpResponse error_response(const ApiError& error);

/// The same error as an event inside a stream that has begun.
std::string error_event(std::exception_ptr error, std::string_view request_id);

}  // namespace quern
