// GET /v1/models and GET /v1/models/{id}; POST /v1/models/load and /v1/models/unload.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

HttpResponse list_models(const ModelStore& models);
/// @throws ApiError  404
HttpResponse describe_model(const ModelStore& models, const std::string& id);

/// Both take {"model": NAME}. Answered when the model is there. @throws ApiError
Answer load_model_now(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer unload_model(ApiContext& api, const HttpRequest& request, const Waker& wake);

/// The body of both: {"model": ID}.
std::span<const FieldRule> model_name_rules();

}  // namespace quern
