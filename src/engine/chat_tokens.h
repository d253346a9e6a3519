// From a rendered chat template to tokens: the template may write control tokens, the messages may not.
#pragma once

#include <span>
#include <vector>

#include "engine/engine.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

/// What the original gives for the joined text, except that control tokens spelt inside message text stay text.
/// @param add_special  put BOS first where the vocabulary asks for it and the template did not
std::vector<TokenId> tokenize_prompt_parts(const Tokenizer& tokenizer, std::span<const PromptPart> parts, bool add_special);

/// For a model without a chat template that can be used. @throws InvalidInput  saying why there is none
[[noreturn]] void refuse_chat(const ModelInfo& info, const char* field = "messages");

}  // namespace quern
