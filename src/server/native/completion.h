// POST /completion and /infill of llama.cpp's server.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// Both throw what errors.h turns into refusals.
Answer answer_native_completion(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_infill(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> native_field_rules();
std::span<const FieldRule> infill_field_rules();

}  // namespace quern
