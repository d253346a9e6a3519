#include "tools/template_sources.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "text/chat/named_formats.h"
#include "tools/text_file.h"

namespace quern {
namespace {

struct OtherFormat {
    std::string_view name;
    const char* why;
};

constexpr const char* needs_images = "it is for images, which quern does not read";
constexpr const char* needs_tools = "it parses calls of tools; leave it out, and the model's own template is used";
constexpr const char* needs_config = "give the file as hf_tokenizer_config_path, and leave chat_format out";
constexpr OtherFormat other_formats[] = {
    {"functionary", needs_tools},
    {"functionary-v1", needs_tools},
    {"functionary-v2", needs_tools},
    {"chatml-function-calling", needs_tools},
    {"llava-1-5", needs_images},
    {"llava-1-6", needs_images},
    {"obsidian", needs_images},
    {"moondream", needs_images},
    {"nanollava", needs_images},
    {"llama-3-vision-alpha", needs_images},
    {"minicpm-v-2.6", needs_images},
    {"qwen2.5-vl", needs_images},
    {"mtmd", needs_images},
    {"gemma4", needs_images},
    {"hf-tokenizer-config", needs_config},
    {"hf-autotokenizer", needs_config},
};

}  // namespace

void set_chat_template(const std::string& name_or_text, EngineOptions& options) {
    if (name_or_text.find('{') == std::string::npos)
        options.chat_format = name_or_text;
    else
        options.chat_template = name_or_text;
}

std::string read_tokenizer_config_template(const std::string& path) {
    const auto fail = [&](const char* what) -> std::string { throw InvalidInput(concat(path, ": ", what), "hf_tokenizer_config_path"); };
    const Json config = Json::parse(read_text_file(path), nullptr, false);
    if (!config.is_object()) return fail("is no JSON object");
    const auto found = config.find("chat_template");
    if (found == config.end() || found->is_null()) return fail("has no chat_template");
    if (found->is_string()) return *found;
    if (!found->is_array()) return fail("chat_template is neither a text nor a list");
    for (const Json& each : *found)
        if (each.is_object() && each.value("name", Json()) == "default" && each.contains("template") && each["template"].is_string())
            return each["template"];
    return fail("chat_template has none of the name default");
}

void check_chat_format(const std::string& format) {
    if (format.empty() || format.starts_with("chat_template.") || !named_format_source(format).empty()) return;
    const auto* other =
        std::find_if(std::begin(other_formats), std::end(other_formats), [&](const OtherFormat& each) { return each.name == format; });
    if (other != std::end(other_formats)) throw InvalidInput(concat("chat format ", format, ": ", other->why), "chat_format");
    throw InvalidInput(concat("unknown chat format '", printable(format), "'; known are ", named_format_names()), "chat_format");
}

}  // namespace quern
