// GET /api/tags, /api/ps and /api/version, POST /api/show, /api/embed and /api/embeddings of Ollama's API.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

HttpResponse ollama_tags(const ApiContext& api);
HttpResponse ollama_running(const ApiContext& api);
HttpResponse ollama_version();
/// All throw what errors.h turns into refusals.
Answer answer_ollama_show(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_ollama_embed(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_ollama_old_embed(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> ollama_embed_field_rules();
std::span<const FieldRule> ollama_old_embed_field_rules();
std::span<const FieldRule> ollama_show_field_rules();

}  // namespace quern
