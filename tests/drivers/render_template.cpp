// Test driver: renders chat templates for tests/e2e/test_chat_templates.py.
// Reads JSON lines {template | format, messages, tools, add_generation_prompt, bos, eos, extra} from stdin and writes JSON lines
// {text, parts: [[text, is_template], ...]} or {error, kind: "compile" | "render"} to stdout.
#include <iostream>
#include <string>

#include "base/error.h"
#include "text/chat/chat_template.h"

namespace {

using quern::Json;

Json render(const Json& request) {
    const quern::TemplateTokens tokens{.bos = request.value("bos", ""), .eos = request.value("eos", "")};
    quern::TemplateInput input;
    input.messages = request.value("messages", Json::array());
    input.tools = request.value("tools", Json());
    input.add_generation_prompt = request.value("add_generation_prompt", true);
    input.extra = request.value("extra", Json::object());
    const auto chat = request.contains("format") ? quern::ChatTemplate::named(request["format"].get<std::string>(), tokens)
                                                 : quern::ChatTemplate::compile(request["template"].get<std::string>(), tokens);
    Json reply = {{"text", chat->render_text(input)}, {"parts", Json::array()}};
    for (const quern::PromptPart& part : chat->render(input)) reply["parts"].push_back({part.text, part.is_template});
    return reply;
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        Json reply;
        try {
            reply = render(Json::parse(line));
        } catch (const quern::ModelError& error) {
            reply = {{"error", error.what()}, {"kind", "compile"}};
        } catch (const quern::InvalidInput& error) {
            reply = {{"error", error.what()}, {"kind", "render"}};
        }
        std::cout << reply.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
    }
    return 0;
}
