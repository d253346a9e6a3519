// The request body of /v1/completions.
#pragma once

#include <vector>

#include "server/openai/generation_fields.h"

namespace quern {

struct CompletionRequest {
    GenerationFields fields;
    std::vector<std::vector<TokenId>> prompts;
    std::vector<std::string> echoes;  ///< text of each prompt to put before its answers; empty unless asked for
};

/// Control tokens written in a prompt text are read as such: a raw completion writes the model's own format.
/// @throws ApiError
CompletionRequest read_completion_request(const Json& body, const Engine& engine);

}  // namespace quern
