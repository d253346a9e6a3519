// POST /v1/chat/completions.
#pragma once

#include "server/api_context.h"

namespace quern {

/// @throws what errors.h turns into refusals
Answer answer_chat(ApiContext& api, const HttpRequest& request, const Waker& wake);

}  // namespace quern
