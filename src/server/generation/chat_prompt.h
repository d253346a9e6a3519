// From messages to the tokens of a prompt, for every API that has messages.
#pragma once

#include "server/served_model.h"

namespace quern {

struct ChatPrompt {
    TemplateInput input;
    /// The last message is an assistant's, and the answer goes on with it rather than behind it.
    bool continues_last = false;
    const char* field = "messages";  ///< what the client calls them
};

/// @throws InvalidInput  the messages do not fit the template, or there is none
std::vector<TokenId> tokenize_chat_prompt(const ServedModel& model, ChatPrompt prompt);
/// The same as text.
std::string render_chat_prompt(const ServedModel& model, ChatPrompt prompt);

/// True when the template has a place for thinking, or can turn it on.
bool can_think(const ServedModel& model);

/// True when the last message is an assistant's with a text.
bool ends_with_answer(const Json& messages);

}  // namespace quern
