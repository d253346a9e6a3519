// The one place where exceptions become HTTP answers: {"error":{message,type,param,code}} as OpenAI's API has it, and what clients of
// Anthropic's and Ollama's APIs expect on their routes.
#pragma once

#include <cstdint>
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

/// `responses`: as openai, but in a stream an event named `error` whose fields are those of /v1/responses.
enum class ErrorShape : uint8_t { openai, responses, anthropic, ollama };

/// InvalidInput: 400 with its field as `param`; ContextOverflow: 400 with code context_length_exceeded; EngineBusy: 429 with Retry-After;
/// ApiError: as it says; all else: 500. Server errors are logged with the request's id.
ApiError to_api_error(std::exception_ptr error, std::string_view request_id);

HttpResponse error_response(std::exception_ptr error, std::string_view request_id, ErrorShape shape = ErrorShape::openai);
HttpResponse error_response(const ApiError& error, ErrorShape shape = ErrorShape::openai);

/// The same error inside a stream that has begun: an event, or for Ollama's clients a line.
std::string error_event(std::exception_ptr error, std::string_view request_id, ErrorShape shape = ErrorShape::openai);
std::string error_event(const HttpResponse& refusal, ErrorShape shape = ErrorShape::openai);

/// 503 with Retry-After: the server is going down.
ApiError shutting_down();

}  // namespace quern
