// A model's chat template: turns messages into the prompt text the model was trained on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace quern {

using Json = nlohmann::ordered_json;

/// A run of rendered prompt: template text may hold control tokens, message text may not.
struct PromptPart {
    std::string text;
    bool is_template = true;
    bool operator==(const PromptPart&) const = default;
};

/// Special token texts that templates refer to.
struct TemplateTokens {
    std::string bos;
    std::string eos;
};

/// What a template is rendered with.
struct TemplateInput {
    Json messages;  ///< array of {role, content, ...}; content is a string or null
    Json tools;     ///< array or null
    bool add_generation_prompt = true;
    Json extra = Json::object();  ///< further variables (chat_template_kwargs); may not shadow the ones above
};

/// A compiled template. Immutable: any thread.
class ChatTemplate {
  public:
    /// Compiles Jinja source (a sandboxed subset of Jinja 2.11+ as `transformers` configures it: trim_blocks, lstrip_blocks, loop
    /// controls).
    /// @throws ModelError  with line and column when the source does not parse
    static std::unique_ptr<const ChatTemplate> compile(std::string_view source, TemplateTokens tokens);

    /// A built-in format by the name of `--chat_format`: "chatml", ...
    /// @throws InvalidInput  naming the known formats
    static std::unique_ptr<const ChatTemplate> named(std::string_view format, TemplateTokens tokens);

    virtual ~ChatTemplate() = default;

    /// Renders. Text that came from messages is told apart from text of the template, through filters and concatenation alike,
    /// so that a user cannot write control tokens.
    /// @throws InvalidInput  when the template calls raise_exception or the input does not fit it, or a step/output limit is hit
    virtual std::vector<PromptPart> render(const TemplateInput& input) const = 0;

    /// What it was compiled from.
    virtual const std::string& source() const = 0;

    /// The parts joined: what `transformers` apply_chat_template gives.
    std::string render_text(const TemplateInput& input) const;
};

}  // namespace quern
