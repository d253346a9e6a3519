// The request body of /v1/chat/completions.
#pragma once

#include "server/openai/generation_fields.h"

namespace quern {

struct ChatRequest {
    GenerationFields fields;
    TemplateInput input;
};

/// @throws ApiError
ChatRequest read_chat_request(const Json& body, const Engine& engine);

}  // namespace quern
