// POST /api/chat and /api/generate of Ollama's API, so that its clients connect. Streams are lines of JSON.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// Both throw what errors.h turns into refusals.
Answer answer_ollama_chat(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_ollama_generate(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> ollama_chat_field_rules();
std::span<const FieldRule> ollama_generate_field_rules();

/// "2026-01-31T10:00:00Z"
std::string ollama_time(int64_t seconds);

}  // namespace quern
