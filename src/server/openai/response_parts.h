// Parts that the responses of several endpoints share.
#pragma once

#include "server/model_store.h"
#include "server/openai/choice_set.h"

namespace quern {

/// What is the same in every chunk and response of one request.
struct ResponseHeader {
    std::string id;
    const char* object;
    int64_t created;
    const ServedModel* model;

    /// {id, object, created, model, system_fingerprint, choices: []}
    Json json() const;
};

/// A header with an id of its own. @param id_prefix  "chatcmpl-", "cmpl-"
ResponseHeader make_header(const ServedModel& model, std::string_view id_prefix, const char* object);

Json usage_json(const ChoiceSet& choices);

/// One event: `data: {...}`
std::string event(const Json& json);
constexpr const char* done_event = "data: [DONE]\n\n";

HttpResponse json_response(const Json& json);

/// [{token, logprob, bytes, top_logprobs}], as chat completions list them.
Json chat_logprobs(const Tokenizer& tokenizer, const std::vector<TokenOutput>& tokens);

/// {tokens, token_logprobs, top_logprobs, text_offset}, as completions list them.
/// @param offset  in characters, of the first token in the choice's text; moved on
Json completion_logprobs(const Tokenizer& tokenizer, const std::vector<TokenOutput>& tokens, int64_t& offset);

/// Characters of valid UTF-8, or those that begin in a part of it.
int64_t n_characters(std::string_view text);

}  // namespace quern
