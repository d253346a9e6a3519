// Chat templates: the interpreter behind the public interface.
#include "text/chat/chat_template.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/chat/jinja/functions.h"
#include "text/chat/jinja/input.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/parser.h"
#include "text/chat/named_formats.h"

namespace quern {

namespace {

constexpr std::string_view kReserved[] = {"messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "loop", "caller",
                                          "varargs",  "kwargs"};

/// Variables of the request must not replace those that the engine or the language defines.
void check_extra(const Json& extra) {
    if (extra.is_null()) return;
    if (!extra.is_object()) throw InvalidInput("chat_template_kwargs must be an object", "chat_template_kwargs");
    for (const auto& [name, value] : extra.items()) {
        const bool is_reserved = std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
        if (is_reserved || jinja::find_global(name)) {
            throw InvalidInput(concat("chat_template_kwargs may not set '", name, "'"), "chat_template_kwargs");
        }
    }
}

class JinjaTemplate final : public ChatTemplate {
  public:
    JinjaTemplate(std::string_view source, TemplateTokens tokens)
        : source_(source), program_(jinja::parse(source_)), tokens_(std::move(tokens)) {}

    const std::string& source() const override { return source_; }

    std::vector<PromptPart> render(const TemplateInput& input) const override {
        check_extra(input.extra);
        if (!input.tools.is_null() && !input.tools.is_array()) throw InvalidInput("tools must be an array", "tools");
        jinja::Budget budget;
        jinja::Interpreter interpreter(program_, budget);
        try {
            define_input(interpreter, input);
            return parts_of(*interpreter.run());
        } catch (const jinja::RaisedByTemplate&) {
            throw;
        } catch (const InvalidInput& error) {
            if (!error.field().empty()) throw;
            throw InvalidInput(concat("chat template, line ", interpreter.position().line, ": ", error.what()), "messages");
        }
    }

  private:
    void define_input(jinja::Interpreter& interpreter, const TemplateInput& input) const {
        using jinja::Origin;
        jinja::Budget& budget = interpreter.budget();
        interpreter.define("documents", nullptr);
        if (input.extra.is_object()) {
            for (const auto& [name, value] : input.extra.items()) interpreter.define(name, jinja::from_json(value, budget));
        }
        interpreter.define("messages", jinja::from_messages(input.messages, budget));
        interpreter.define("tools", jinja::from_json(input.tools, budget));
        interpreter.define("add_generation_prompt", input.add_generation_prompt);
        interpreter.define("bos_token", jinja::make_text(tokens_.bos, Origin::source, budget));
        interpreter.define("eos_token", jinja::make_text(tokens_.eos, Origin::source, budget));
    }

    static std::vector<PromptPart> parts_of(const jinja::Text& text) {
        std::vector<PromptPart> parts;
        text.for_each_run([&](std::string_view piece, jinja::Origin origin) {
            parts.push_back({.text = std::string(piece), .is_template = origin == jinja::Origin::source});
        });
        return parts;
    }

    const std::string source_;
    const jinja::Program program_;
    const TemplateTokens tokens_;
};

}  // namespace

std::unique_ptr<const ChatTemplate> ChatTemplate::compile(std::string_view source, TemplateTokens tokens) {
    return std::make_unique<const JinjaTemplate>(source, std::move(tokens));
}

std::unique_ptr<const ChatTemplate> ChatTemplate::named(std::string_view format, TemplateTokens tokens) {
    const std::string_view source = named_format_source(format);
    if (source.empty()) {
        throw InvalidInput(concat("unknown chat format '", format, "'; known are ", named_format_names()), "chat_format");
    }
    return compile(source, std::move(tokens));
}

std::string ChatTemplate::render_text(const TemplateInput& input) const {
    std::string text;
    for (const PromptPart& part : render(input)) text += part.text;
    return text;
}

}  // namespace quern
