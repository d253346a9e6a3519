#include "server/openai/chat_messages.h"

#include <algorithm>

#include "base/error.h"
#include "server/fields.h"

namespace quern {
namespace {

constexpr std::string_view roles[] = {"developer", "system", "user", "assistant", "tool", "function"};
constexpr size_t max_messages = 65536;

std::string read_part(const Json& part, const std::string& param) {
    if (part.is_string()) return part.get<std::string>();
    if (!part.is_object()) refuse_type(param, "an object with a type", part);
    const auto type = part.find("type");
    if (type == part.end() || !type->is_string()) refuse_value(param, "has no type");
    const auto& name = type->get_ref<const std::string&>();
    const bool is_refusal = name == "refusal";
    if (name != "text" && !is_refusal)
        refuse_unsupported(param, concat("this model reads text only, and this part is of the type '", name, "'"));
    const auto text = part.find(is_refusal ? "refusal" : "text");
    if (text == part.end() || !text->is_string()) refuse_value(param, concat("has no ", is_refusal ? "refusal" : "text"));
    return text->get<std::string>();
}

std::string read_content(const Json& message, const std::string& role, const std::string& param) {
    const auto content = message.find("content");
    if (content == message.end() || content->is_null()) {
        if (role == "assistant" || role == "function") return "";
        refuse_value(param, concat("is missing: a message of the role '", role, "' has a content"));
    }
    if (content->is_string()) return content->get<std::string>();
    if (!content->is_array()) refuse_type(param, "a string or an array of parts", *content);
    std::string joined;
    for (size_t i = 0; i < content->size(); ++i) {
        const std::string text = read_part((*content)[i], concat(param, "[", i, "]"));
        joined += (i > 0 ? "\n" : "") + text;
    }
    return joined;
}

std::string read_role(const Json& message, const std::string& param) {
    const auto role = message.find("role");
    if (role == message.end() || role->is_null()) refuse_value(param, "is missing");
    if (!role->is_string()) refuse_type(param, "a string", *role);
    const auto& name = role->get_ref<const std::string&>();
    if (std::find(std::begin(roles), std::end(roles), name) == std::end(roles))
        refuse_value(param, "must be developer, system, user, assistant, tool or function");
    return name;
}

Json read_message(const Json& message, const std::string& param) {
    if (!message.is_object()) refuse_type(param, "an object", message);
    const std::string role = read_role(message, param + ".role");
    Json out = {{"role", role == "developer" ? "system" : role}, {"content", read_content(message, role, param + ".content")}};
    for (const auto& [key, value] : message.items())
        if (key != "role" && key != "content" && !value.is_null()) out[key] = value;
    return out;
}

}  // namespace

Json read_messages(const Json& messages, const std::string& param) {
    if (!messages.is_array()) refuse_type(param, "an array", messages);
    if (messages.empty()) refuse_value(param, "is empty");
    if (messages.size() > max_messages) refuse_value(param, concat("has more than ", max_messages, " messages"));
    Json out = Json::array();
    for (size_t i = 0; i < messages.size(); ++i) out.push_back(read_message(messages[i], concat(param, "[", i, "]")));
    return out;
}

}  // namespace quern
