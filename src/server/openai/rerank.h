// POST /v1/rerank: documents in the order in which they fit a query.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// By the scores of a cross-encoder; of other models, by how their vectors point. Throws what errors.h turns into refusals.
Answer answer_rerank(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> rerank_field_rules();

}  // namespace quern
