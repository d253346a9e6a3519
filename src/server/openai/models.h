// GET /v1/models and GET /v1/models/{id}.
#pragma once

#include "server/http/message.h"
#include "server/model_store.h"

namespace quern {

HttpResponse list_models(const ModelStore& models);
/// @throws ApiError  404 model_not_found
HttpResponse describe_model(const ModelStore& models, const std::string& id);

}  // namespace quern
