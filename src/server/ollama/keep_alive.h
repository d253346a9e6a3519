// Ollama's `keep_alive`: how long a model stays in memory after the answer.
#pragma once

#include <chrono>
#include <optional>

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// A number of seconds, or a text such as "5m" or "1h30m"; a negative one is ModelStore::forever. Nothing when the field is absent.
/// @throws ApiError  400 naming keep_alive
std::optional<std::chrono::milliseconds> read_keep_alive(const RequestFields& fields);

/// Lets the model stay so long. Changes what others get, so that only clients with a key are heard, as with /v1/models/unload.
void keep_as_asked(const ModelRequest& asked, const RequestFields& fields);

}  // namespace quern
