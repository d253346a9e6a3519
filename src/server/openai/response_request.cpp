// Source: OpenAI's API reference, "Responses".
#include "server/openai/response_request.h"

#include <algorithm>

#include "server/openai/chat_messages.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"model", text},
    {"input", any},
    {"instructions", text},
    {"max_output_tokens", integer, 16, 2147483647},
    {"temperature", number, 0, 2},
    {"top_p", number, 0, 1},
    {"top_logprobs", integer, 0, 20},
    {"include", any},
    {"text", object},
    {"reasoning", object},
    {"stream", boolean},
    {"metadata", object},
    {"seed", integer, -9223372036854775808.0, 9223372036854775808.0},

    {"user", ignored},
    {"store", ignored},
    {"service_tier", ignored},
    {"safety_identifier", ignored},
    {"prompt_cache_key", ignored},
    {"prompt_cache_retention", ignored},
    {"parallel_tool_calls", ignored},
    {"stream_options", ignored},

    {"previous_response_id", refused},
    {"conversation", refused},
    {"background", refused, 0, 0, "[false]"},
    {"truncation", refused, 0, 0, R"(["disabled"])"},
    {"prompt", refused},
    {"max_tool_calls", ignored},
    {"tools", refused, 0, 0, "[[]]"},
    {"tool_choice", refused, 0, 0, R"(["none", "auto"])"},
};

Json read_content_parts(const Json& content, const std::string& param) {
    if (!content.is_array()) return content;
    Json parts = Json::array();
    for (size_t i = 0; i < content.size(); ++i) {
        const Json& part = content[i];
        const std::string place = concat(param, "[", i, "]");
        if (!part.is_object()) refuse_type(place, "an object with a type", part);
        const auto type = part.find("type");
        if (type == part.end() || !type->is_string()) refuse_value(place, "has no type");
        const std::string name = *type;
        const bool is_text = name == "input_text" || name == "output_text" || name == "text";
        if (!is_text && name != "refusal")
            refuse_unsupported(place, concat("this model reads text only, and this part is of the type '", name, "'"));
        const auto value = part.find(is_text ? "text" : "refusal");
        if (value == part.end() || !value->is_string()) refuse_value(place, "has no text");
        parts.push_back({{"type", "text"}, {"text", *value}});
    }
    return parts;
}

/// The input as messages; the items of other kinds that models do not see are left out.
Json read_input(const Json& input) {
    Json messages = Json::array();
    if (input.is_string()) {
        messages.push_back({{"role", "user"}, {"content", input}});
        return messages;
    }
    if (!input.is_array()) refuse_type("input", "a string or an array of items", input);
    for (size_t i = 0; i < input.size(); ++i) {
        const Json& item = input[i];
        const std::string param = concat("input[", i, "]");
        if (!item.is_object()) refuse_type(param, "an object", item);
        const auto type = item.find("type");
        if (type != item.end() && !type->is_string()) refuse_type(param + ".type", "a string", *type);
        const std::string name = type == item.end() ? "message" : type->get<std::string>();
        if (name == "reasoning") continue;
        if (name != "message") refuse_unsupported(param, concat("items of the type '", name, "' are not supported"));
        const auto role = item.find("role"), content = item.find("content");
        messages.push_back({{"role", role == item.end() ? Json(nullptr) : *role},
                            {"content", content == item.end() ? Json(nullptr) : read_content_parts(*content, param + ".content")}});
    }
    return messages;
}

void check_text_format(const RequestFields& fields) {
    const Json* text_options = fields.find("text");
    if (!text_options) return;
    const auto format = text_options->find("format");
    if (format == text_options->end() || format->is_null()) return;
    if (!format->is_object()) refuse_type("text.format", "an object", *format);
    const auto type = format->find("type");
    if (type == format->end() || *type != "text") refuse_unsupported("text.format", "only the type 'text' is supported");
}

// All but the log probabilities are of tools, images and hidden reasoning, of which there are none here.
constexpr std::string_view includable[] = {
    "message.output_text.logprobs",  "message.input_image.image_url",         "reasoning.encrypted_content",
    "code_interpreter_call.outputs", "computer_call_output.output.image_url", "file_search_call.results",
    "web_search_call.results",       "web_search_call.action.sources"};

bool includes_logprobs(const RequestFields& fields) {
    const Json* include = fields.find("include");
    if (!include) return false;
    if (!include->is_array()) refuse_type("include", "an array of strings", *include);
    for (const Json& each : *include) {
        if (!each.is_string()) refuse_type("include", "an array of strings", each);
        const auto& name = each.get_ref<const std::string&>();
        if (std::find(std::begin(includable), std::end(includable), name) == std::end(includable))
            refuse_value("include", concat("nothing is called '", name, "'"));
    }
    return std::find(include->begin(), include->end(), Json("message.output_text.logprobs")) != include->end();
}

Json echo_of(const RequestFields& fields) {
    const auto or_else = [&](const char* name, Json otherwise) {
        const Json* value = fields.find(name);
        return value ? *value : otherwise;
    };
    return {{"instructions", or_else("instructions", nullptr)},
            {"max_output_tokens", or_else("max_output_tokens", nullptr)},
            {"metadata", or_else("metadata", Json::object())},
            {"parallel_tool_calls", true},
            {"previous_response_id", nullptr},
            {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
            {"store", false},
            {"temperature", or_else("temperature", 1.0)},
            {"text", {{"format", {{"type", "text"}}}}},
            {"tool_choice", "auto"},
            {"tools", Json::array()},
            {"top_logprobs", or_else("top_logprobs", 0)},
            {"top_p", or_else("top_p", 1.0)},
            {"truncation", "disabled"}};
}

ChatPrompt read_prompt(const RequestFields& fields) {
    const Json* input = fields.find("input");
    if (!input) refuse_value("input", "is missing");
    Json messages = Json::array();
    if (const auto instructions = fields.text("instructions")) messages.push_back({{"role", "system"}, {"content", *instructions}});
    for (Json& message : read_input(*input)) messages.push_back(std::move(message));
    ChatPrompt prompt;
    prompt.input.messages = read_messages(messages, "input");
    prompt.field = "input";
    if (const Json* reasoning = fields.find("reasoning")) {
        const auto effort = reasoning->find("effort");
        if (effort != reasoning->end() && effort->is_string()) prompt.input.extra["reasoning_effort"] = *effort;
    }
    return prompt;
}

}  // namespace

std::span<const FieldRule> response_field_rules() { return rules; }

ResponseRequest read_response_request(const Json& body, const Engine& engine) {
    const RequestFields fields(body, {rules});
    check_text_format(fields);
    Json shared = Json::object();
    for (const char* name : {"temperature", "top_p", "stream", "seed"})
        if (const Json* value = fields.find(name)) shared[name] = *value;
    ResponseRequest out{.fields = read_generation_fields(RequestFields(shared, {generation_field_rules()}), engine)};
    out.fields.request.max_tokens = fields.integer("max_output_tokens");
    out.wants_logprobs = includes_logprobs(fields);
    if (out.wants_logprobs) out.fields.request.n_logprobs = static_cast<int>(fields.integer("top_logprobs").value_or(0));
    out.prompt = read_prompt(fields);
    out.echoed = echo_of(fields);
    return out;
}

}  // namespace quern
