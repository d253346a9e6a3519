// POST /v1/chat/completions: answers a conversation through the model's chat template.
#pragma once

#include "server/http/answer.h"
#include "server/model_store.h"

namespace quern {

/// @throws ApiError, InvalidInput, ContextOverflow, EngineBusy
Answer answer_chat(const ModelStore& models, const HttpRequest& request, const Waker& wake);

}  // namespace quern
