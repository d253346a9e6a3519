#include "engine/chat_tokens.h"

#include "base/error.h"
#include "base/printable.h"

namespace quern {

std::vector<TokenId> tokenize_prompt_parts(const Tokenizer& tokenizer, std::span<const PromptPart> parts, bool add_special) {
    std::string text;
    std::vector<TextRange> literal;
    for (const PromptPart& part : parts) {
        const size_t begin = text.size();
        text += part.text;
        if (!part.is_template) literal.push_back({begin, text.size()});
    }
    std::vector<TokenId> tokens = tokenizer.tokenize(text, {.add_special = false, .parse_special = true, .literal = literal});
    const auto& bos = tokenizer.vocabulary().bos;
    if (add_special && tokenizer.adds_bos() && (tokens.empty() || tokens.front() != *bos)) tokens.insert(tokens.begin(), *bos);
    return tokens;
}

void refuse_chat(const ModelInfo& info, const char* field) {
    if (!info.chat_template_error.empty())
        throw InvalidInput(concat(info.chat_template_error, "; --chat-format or --chat-template-file gives another one"), field);
    throw InvalidInput(concat("model ", printable(info.name), " has no chat template; choose one with --chat-format"), field);
}

}  // namespace quern
