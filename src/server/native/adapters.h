// llama.cpp's GET and POST /lora-adapters: the LoRA adapters of a model, and the scales of requests that do not name any.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// [{"id", "path", "scale"}, ...] of the model in the query (`?model=`), else the default one. @throws ApiError  404; 409 while it is not
/// loaded
HttpResponse list_adapters(const ApiContext& api, const HttpRequest& request);
/// Sets them for requests from now on; what runs goes on as it began. @throws ApiError  also 400
HttpResponse set_adapters(const ApiContext& api, const HttpRequest& request);

/// Of each adapter in the body, which is a list.
std::span<const FieldRule> adapter_field_rules();

}  // namespace quern
