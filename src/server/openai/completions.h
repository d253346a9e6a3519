// POST /v1/completions: goes on with one or several texts.
#pragma once

#include "server/api_context.h"

namespace quern {

/// @throws what errors.h turns into refusals
Answer answer_completion(ApiContext& api, const HttpRequest& request, const Waker& wake);

}  // namespace quern
