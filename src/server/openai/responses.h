// POST /v1/responses, without state: every request brings its whole conversation.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// @throws what errors.h turns into refusals
Answer answer_response(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> response_field_rules();

}  // namespace quern
