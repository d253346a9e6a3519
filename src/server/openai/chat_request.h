// The request body of /v1/chat/completions.
#pragma once

#include "server/generation/chat_prompt.h"
#include "server/generation/generation_fields.h"

namespace quern {

struct ChatRequest {
    GenerationFields fields;
    ChatPrompt prompt;
};

/// @throws ApiError
ChatRequest read_chat_request(const Json& body, const Engine& engine);

/// The part that needs no generation: messages and what the template is told. @throws ApiError
ChatPrompt read_chat_prompt(const RequestFields& fields);

std::span<const FieldRule> chat_field_rules();

}  // namespace quern
