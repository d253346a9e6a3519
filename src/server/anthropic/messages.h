// POST /v1/messages and /v1/messages/count_tokens of Anthropic's API.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// @throws what errors.h turns into refusals
Answer answer_messages(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer count_message_tokens(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> message_field_rules();

}  // namespace quern
