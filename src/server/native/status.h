// What the server tells about itself: llama.cpp's GET /props and /slots, and whether it is ready.
#pragma once

#include "server/api_context.h"

namespace quern {

/// Of the model in the query (`?model=`), else the default one. @throws ApiError  404; 409 while it is not loaded
HttpResponse describe_properties(const ApiContext& api, const HttpRequest& request);
/// The model in the query. @throws ApiError  as above
ModelLease asked_model(const ApiContext& api, const HttpRequest& request);
HttpResponse list_slots(const ApiContext& api, const HttpRequest& request);
/// POST /slots/{id}?action=...: 501 with the reason, since there is nothing that a slot could save or erase.
Answer change_slot(ApiContext& api, const HttpRequest& request, const Waker& wake);
/// 200 once the default model is in memory, else 503.
HttpResponse readiness(const ApiContext& api);

}  // namespace quern
