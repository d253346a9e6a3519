// Texts, tokens and prompts without generating: llama.cpp's /tokenize, /detokenize and /apply-template, llama-cpp-python's /extras.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// All throw what errors.h turns into refusals.
Answer answer_tokenize(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_detokenize(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_apply_template(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_extras_tokenize(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_extras_count(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_extras_detokenize(ApiContext& api, const HttpRequest& request, const Waker& wake);
/// How many tokens a chat request's prompt has.
Answer count_chat_tokens(ApiContext& api, const HttpRequest& request, const Waker& wake);
/// The same of a request to the Responses API.
Answer count_response_tokens(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> tokenize_field_rules();
std::span<const FieldRule> detokenize_field_rules();
std::span<const FieldRule> extras_tokenize_field_rules();

}  // namespace quern
