// Keys: tokenizer.chat_template, and tokenizer.chat_template.NAME for further ones. `chat_template.default` and `chat_template.NAME` are
// llama-cpp-python's names for them.
#include "engine/load_chat_template.h"

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

constexpr std::string_view template_key = "tokenizer.chat_template";
constexpr std::string_view format_prefix = "chat_template.";

TemplateTokens template_tokens(const Tokenizer& tokenizer) {
    const auto text = [&](const std::optional<TokenId>& id) {
        return id ? std::string(tokenizer.vocabulary().pieces[static_cast<size_t>(id->value)]) : std::string();
    };
    return {.bos = text(tokenizer.vocabulary().bos), .eos = text(tokenizer.vocabulary().eos)};
}

std::string names_in(const GgufFile& file) {
    std::string names;
    const auto add = [&](std::string_view name) { names += concat(names.empty() ? "" : ", ", format_prefix, printable(name)); };
    for (const Metadata::Entry& entry : file.metadata().entries()) {
        if (entry.key == template_key) add("default");
        if (entry.key.starts_with(concat(template_key, "."))) add(entry.key.substr(template_key.size() + 1));
    }
    return names.empty() ? "none" : names;
}

/// @param name  "default" or what stands behind the key of a further one
std::unique_ptr<const ChatTemplate> template_of_file(const GgufFile& file, std::string_view name, const TemplateTokens& tokens) {
    const std::string key = name == "default" ? std::string(template_key) : concat(template_key, ".", name);
    const auto source = file.metadata().string(key);
    if (!source)
        throw InvalidInput(concat(file.path(), " has no ", format_prefix, printable(name), "; it has ", names_in(file)), "chat_format");
    try {
        return ChatTemplate::compile(*source, tokens);
    } catch (const ModelError& error) {
        throw ModelError(concat(file.path(), ": ", key, ": ", error.what()));
    }
}

}  // namespace

LoadedTemplate choose_chat_template(const GgufFile& file, const Tokenizer& tokenizer, const EngineOptions& options) {
    const TemplateTokens tokens = template_tokens(tokenizer);
    LoadedTemplate out;
    if (!options.chat_template.empty()) {
        try {
            out.format = ChatTemplate::compile(options.chat_template, tokens);
        } catch (const ModelError& error) {
            throw InvalidInput(concat("the chat template given for ", file.path(), ": ", error.what()), "chat_template");
        }
    } else if (options.chat_format.starts_with(format_prefix)) {
        out.format = template_of_file(file, std::string_view(options.chat_format).substr(format_prefix.size()), tokens);
    } else if (!options.chat_format.empty()) {  // these leave BOS to the vocabulary
        out.format = ChatTemplate::named(options.chat_format, tokens);
        out.adds_bos = true;
    } else if (file.metadata().has(template_key)) {
        try {
            out.format = template_of_file(file, "default", tokens);
        } catch (const ModelError& error) {
            out.error = error.what();
        }
    }
    return out;
}

}  // namespace quern
