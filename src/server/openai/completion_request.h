// The request body of /v1/completions.
#pragma once

#include <vector>

#include "server/generation/generation_fields.h"

namespace quern {

struct CompletionRequest {
    GenerationFields fields;
    std::vector<std::vector<TokenId>> prompts;
    std::vector<std::string> echoes;  ///< text of each prompt to put before its answers; empty unless asked for
    int best_of = 1;                  ///< choices made for each prompt; the likeliest n of them are returned
    int n_logprobs = -1;              ///< as asked; the request itself may compute more
};

/// @throws ApiError
CompletionRequest read_completion_request(const Json& body, const Engine& engine);

std::span<const FieldRule> completion_field_rules();

}  // namespace quern
