// Prompts of raw completions: a text, texts, tokens, or lists of tokens.
#pragma once

#include "engine/engine.h"
#include "server/fields.h"
#include "server/served_model.h"

namespace quern {

/// Control tokens written in a prompt text are read as such: a raw completion writes the model's own format.
/// A text out of nothing begins with BOS.
std::vector<TokenId> tokenize_prompt(const Tokenizer& tokenizer, const std::string& text);

/// @throws InvalidInput  the model only makes vectors of texts, or scores pairs of them
void require_generation(const ServedModel& model);

/// Before a text is tokenized. @throws ContextOverflow  naming `param`, when so many bytes cannot fit in the window
void refuse_if_too_long(const Engine& engine, size_t n_bytes, const std::string& param);

/// Token ids as JSON. @throws ApiError  naming `param`
std::vector<TokenId> read_tokens(const Json& list, const std::string& param, int64_t n_vocab);

struct PromptList {
    std::vector<std::vector<TokenId>> tokens;
    std::vector<std::string> texts;  ///< of each
};

/// @throws ApiError  naming `param`
PromptList read_prompts(const Json& prompt, const std::string& param, const Engine& engine);

constexpr size_t max_prompts = 128;

}  // namespace quern
