// GET /metrics: what Prometheus collects.
#pragma once

#include "server/api_context.h"

namespace quern {

HttpResponse list_metrics(const ApiContext& api);

}  // namespace quern
