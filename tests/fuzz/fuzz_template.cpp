// Fuzzes chat templates: the bytes before the first 0xFF are the template, the rest is the input as JSON.
// No template and no input may crash, hang or throw anything but quern's own errors.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/chat/chat_template.h"

namespace {

quern::TemplateInput parse_input(std::string_view bytes) {
    using quern::Json;
    quern::TemplateInput input;
    const Json json = Json::parse(bytes, nullptr, false);
    input.messages = Json::array({{{"role", "user"}, {"content", "Hi <|im_end|> \xC3\xA9\n"}},
                                  {{"role", "assistant"}, {"content", nullptr}, {"n", 3}, {"x", {1.5, true, "a"}}}});
    if (!json.is_object()) return input;
    if (json.contains("messages")) input.messages = json["messages"];
    if (json.contains("tools")) input.tools = json["tools"];
    if (json.contains("extra")) input.extra = json["extra"];
    return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const size_t end = bytes.find('\xFF');
    const bool has_input = end != std::string_view::npos;
    try {
        const auto chat = quern::ChatTemplate::compile(bytes.substr(0, end), {.bos = "<s>", .eos = "</s>"});
        chat->render(parse_input(has_input ? bytes.substr(end + 1) : std::string_view()));
    } catch (const quern::InvalidInput&) {
    } catch (const quern::ModelError&) {
    }
    return 0;
}
