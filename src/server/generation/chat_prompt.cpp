#include "server/generation/chat_prompt.h"

#include "engine/chat_tokens.h"
#include "server/generation/prompt_reader.h"

namespace quern {
namespace {

void add_server_variables(const ServedModel& model, TemplateInput& input) {
    for (const auto& [key, value] : model.template_variables.items())
        if (!input.extra.contains(key)) input.extra[key] = value;
}

/// Takes the last message off: its text.
std::string take_last(TemplateInput& input) {
    std::string text = input.messages.back()["content"];
    input.messages.erase(input.messages.size() - 1);
    input.add_generation_prompt = true;
    return text;
}

void require_template(const ServedModel& model, const char* field) {
    if (model.engine->chat_template() != nullptr) return;
    if (!model.engine->info().chat_template_error.empty()) refuse_chat(model.engine->info(), field);
    throw InvalidInput(concat("the model ", model.id, " has no chat template; choose one with --chat-format"), field);
}

size_t text_bytes(const Json& messages) {
    size_t n = 0;
    for (const Json& message : messages)
        if (const auto content = message.find("content"); content != message.end() && content->is_string())
            n += content->get_ref<const std::string&>().size();
    return n;
}

}  // namespace

bool can_think(const ServedModel& model) {
    const ChatTemplate* format = model.engine->chat_template();
    if (format == nullptr) return false;
    const std::string& source = format->source();
    const auto has = [&source](const char* word) { return source.find(word) != std::string::npos; };
    return has("<think>") || has("enable_thinking") || has("reasoning_effort");
}

bool ends_with_answer(const Json& messages) {
    if (messages.empty()) return false;
    const Json& last = messages.back();
    const auto content = last.find("content");
    return last["role"] == "assistant" && !last.contains("tool_calls") && content != last.end() && content->is_string() &&
           !content->get_ref<const std::string&>().empty();
}

std::vector<TokenId> tokenize_chat_prompt(const ServedModel& model, ChatPrompt prompt) {
    const Engine& engine = *model.engine;
    require_generation(model);
    require_template(model, prompt.field);
    refuse_if_too_long(engine, text_bytes(prompt.input.messages), prompt.field);
    add_server_variables(model, prompt.input);
    if (!prompt.continues_last) return engine.tokenize_chat(prompt.input);
    const std::string begun = take_last(prompt.input);
    const std::vector<TokenId> before = engine.tokenize_chat(prompt.input);
    // Tokenized as one text with what stands before it, as the model saw it in training.
    std::vector<PromptPart> parts = engine.chat_template()->render(prompt.input);
    parts.push_back({.text = begun, .is_template = false});
    std::vector<TokenId> tokens = tokenize_prompt_parts(engine.tokenizer(), parts, false);
    const auto& bos = engine.tokenizer().vocabulary().bos;
    const bool has_bos = bos && !before.empty() && before.front() == *bos;
    if (has_bos && (tokens.empty() || tokens.front() != *bos)) tokens.insert(tokens.begin(), *bos);
    return tokens;
}

std::string render_chat_prompt(const ServedModel& model, ChatPrompt prompt) {
    const ChatTemplate* format = model.engine->chat_template();
    require_template(model, prompt.field);
    add_server_variables(model, prompt.input);
    const std::string begun = prompt.continues_last ? take_last(prompt.input) : std::string();
    return format->render_text(prompt.input) + begun;
}

}  // namespace quern
