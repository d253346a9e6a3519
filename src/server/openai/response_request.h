// The request body of /v1/responses.
#pragma once

#include "server/fields.h"
#include "server/generation/chat_prompt.h"
#include "server/generation/generation_fields.h"

namespace quern {

struct ResponseRequest {
    GenerationFields fields;
    ChatPrompt prompt;
    bool wants_logprobs = false;
    Json echoed;  ///< what the response object repeats of the request
};

/// @throws ApiError
ResponseRequest read_response_request(const Json& body, const Engine& engine);

std::span<const FieldRule> response_field_rules();

}  // namespace quern
