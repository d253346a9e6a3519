// POST /v1/completions: goes on with one or several texts.
#pragma once

#include "server/http/answer.h"
#include "server/model_store.h"

namespace quern {

/// @throws ApiError, InvalidInput, ContextOverflow, EngineBusy
Answer answer_completion(const ModelStore& models, const HttpRequest& request, const Waker& wake);

}  // namespace quern
