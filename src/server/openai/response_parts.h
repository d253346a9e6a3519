// Parts that the responses of OpenAI's endpoints share.
#pragma once

#include "server/generation/json_text.h"
#include "server/generation/wording.h"

namespace quern {

/// What is the same in every chunk and response of one request.
struct ResponseHeader {
    std::string id;
    const char* object;
    int64_t created;
    ModelLease model;
    std::string before_choices;  ///< the JSON text up to where the choices begin

    /// {id, object, created, model, system_fingerprint, choices: []}
    Json json() const;
    /// The event of a chunk with this one choice, as JSON text: made once for each token, so without building a document.
    std::string chunk(std::string_view choice, bool with_null_usage) const;
};

/// A header with an id of its own. @param id_prefix  "chatcmpl-", "cmpl-"
ResponseHeader make_header(ModelLease model, std::string_view id_prefix, const char* object);

Json usage_json(const ChoiceSet& choices);
/// llama.cpp's `timings` of the first choice.
Json timings_json(const ChoiceSet& choices);

constexpr const char* done_event = "data: [DONE]\n\n";

/// [{token, logprob, bytes, top_logprobs}], as chat completions list them.
Json chat_logprobs(const Tokenizer& tokenizer, const std::vector<TokenOutput>& tokens);

/// {tokens, token_logprobs, top_logprobs, text_offset}, as completions list them. A token without log probabilities has null for them.
/// @param offset  in characters, of the first token in the choice's text; moved on
Json completion_logprobs(const Tokenizer& tokenizer, const std::vector<TokenOutput>& tokens, int64_t& offset);

/// Characters of valid UTF-8, or those that begin in a part of it.
int64_t n_characters(std::string_view text);

}  // namespace quern
