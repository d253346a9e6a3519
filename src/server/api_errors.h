// How errors are worded for the clients of each API.
#pragma once

#include <cstdint>
#include <string>

#include "server/http/errors.h"

namespace quern {

/// `responses`: as openai, but in a stream an event named `error` whose fields are those of /v1/responses.
enum class ErrorShape : uint8_t { openai, responses, anthropic, ollama };

HttpResponse error_response(const ApiError& error, ErrorShape shape);

/// The same error inside a stream that has begun: an event, or for Ollama's clients a line.
std::string error_event(const ApiError& error, ErrorShape shape);

/// What an `error` event of /v1/responses says of it: code, message, param.
Json response_error(const ApiError& error);

}  // namespace quern
