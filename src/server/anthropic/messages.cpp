// Source: Anthropic's API reference, "Messages" and "Streaming messages".
#include "server/anthropic/messages.h"

#include "server/generation/chat_prompt.h"
#include "server/generation/generation_fields.h"
#include "server/generation/json_text.h"
#include "server/generation/wording.h"
#include "server/http/random_id.h"

namespace quern {
namespace {

constexpr int64_t default_max_tokens = 4096;
constexpr size_t max_messages = 65536;

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"model", text},
    {"messages", any},
    {"system", any},
    {"max_tokens", integer, 1, 2147483647},
    {"temperature", number, 0, 1},
    {"top_p", number, 0, 1},
    {"top_k", integer, -1, 2147483647},
    {"stop_sequences", any},
    {"stream", boolean},
    {"metadata", ignored},
    {"service_tier", ignored},
    {"container", ignored},
    {"thinking", object},
    {"tools", refused, 0, 0, "[[]]"},
    {"tool_choice", refused, 0, 0, R"([{"type": "auto"}, {"type": "none"}])"},
    {"mcp_servers", refused, 0, 0, "[[]]"},
};

std::string read_blocks(const Json& content, const std::string& param) {
    if (content.is_string()) return content.get<std::string>();
    if (!content.is_array()) refuse_type(param, "a string or an array of blocks", content);
    std::string joined;
    for (size_t i = 0; i < content.size(); ++i) {
        const Json& block = content[i];
        const std::string place = concat(param, "[", i, "]");
        if (!block.is_object()) refuse_type(place, "an object with a type", block);
        const auto type = block.find("type");
        if (type == block.end() || !type->is_string()) refuse_value(place, "has no type");
        if (*type == "thinking" || *type == "redacted_thinking") continue;  // of an earlier turn: models do not see it again
        if (*type != "text")
            refuse_unsupported(place, concat("this model reads text only, and this block is of the type '", type->get<std::string>(), "'"));
        const auto text = block.find("text");
        if (text == block.end() || !text->is_string()) refuse_value(place, "has no text");
        if (!joined.empty()) joined += '\n';
        joined += text->get_ref<const std::string&>();
    }
    return joined;
}

Json read_messages_of(const RequestFields& fields) {
    Json out = Json::array();
    if (const Json* system = fields.find("system")) out.push_back({{"role", "system"}, {"content", read_blocks(*system, "system")}});
    const Json* messages = fields.find("messages");
    if (!messages) refuse_value("messages", "is missing");
    if (!messages->is_array()) refuse_type("messages", "an array", *messages);
    if (messages->empty()) refuse_value("messages", "is empty");
    if (messages->size() > max_messages) refuse_value("messages", concat("has more than ", max_messages, " messages"));
    for (size_t i = 0; i < messages->size(); ++i) {
        const Json& message = (*messages)[i];
        const std::string param = concat("messages[", i, "]");
        if (!message.is_object()) refuse_type(param, "an object", message);
        const auto role = message.find("role");
        if (role == message.end() || (*role != "user" && *role != "assistant"))
            refuse_value(param + ".role", "must be user or assistant; the field 'system' is for the system's words");
        const auto content = message.find("content");
        if (content == message.end()) refuse_value(param + ".content", "is missing");
        out.push_back({{"role", *role}, {"content", read_blocks(*content, param + ".content")}});
    }
    return out;
}

/// "adaptive" leaves it to the model, so that every model can follow.
void read_thinking(const Json& thinking, const ServedModel& model, TemplateInput& input) {
    const auto type = thinking.find("type");
    if (type == thinking.end() || (*type != "enabled" && *type != "adaptive" && *type != "disabled"))
        refuse_value("thinking.type", "must be enabled, adaptive or disabled");
    if (const auto budget = thinking.find("budget_tokens"); budget != thinking.end() && !budget->is_null())
        if (integer_value("thinking.budget_tokens", *budget) < 1024) refuse_value("thinking.budget_tokens", "must be at least 1024");
    if (*type == "enabled" && !can_think(model)) refuse_unsupported("thinking", "this model's chat template knows no thinking");
    input.extra["enable_thinking"] = *type != "disabled";
}

ChatPrompt read_prompt(const RequestFields& fields, const ServedModel& model) {
    ChatPrompt prompt;
    prompt.input.messages = read_messages_of(fields);
    prompt.continues_last = ends_with_answer(prompt.input.messages);
    if (const Json* thinking = fields.find("thinking")) read_thinking(*thinking, model, prompt.input);
    return prompt;
}

/// The body under the names of the shared fields.
Json shared_body(const RequestFields& fields) {
    Json body = Json::object();
    for (const char* name : {"temperature", "top_p", "top_k", "stream"})
        if (const Json* value = fields.find(name)) body[name] = *value;
    return body;
}

const char* stop_reason(const ChoiceUpdate& update) {
    if (update.finish == FinishReason::length) return "max_tokens";
    return update.stop.empty() ? "end_turn" : "stop_sequence";
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

class MessageWording final : public Wording {
  public:
    explicit MessageWording(ModelLease model) : id_(random_id("msg_")), model_(std::move(model)) {}

    Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) override {
        Json json = message(choices);
        json["content"].push_back({{"type", "text"}, {"text", whole[0].text}});
        json["stop_reason"] = stop_reason(whole[0]);
        json["stop_sequence"] = text_or_null(whole[0].stop);
        return json;
    }

    std::string begin(const ChoiceSet& choices) override {
        return named_event("message_start", {{"type", "message_start"}, {"message", message(choices)}}) +
               named_event("content_block_start",
                           {{"type", "content_block_start"}, {"index", 0}, {"content_block", {{"type", "text"}, {"text", ""}}}}) +
               keep_alive();
    }

    std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) override {
        std::string out;
        if (!update.text.empty()) {
            out =
                "event: content_block_delta\n"
                R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":)";
            append_json_string(out, update.text);
            out += "}}\n\n";
        }
        if (!update.finish) return out;
        return out + named_event("content_block_stop", {{"type", "content_block_stop"}, {"index", 0}}) +
               named_event("message_delta",
                           {{"type", "message_delta"},
                            {"delta", {{"stop_reason", stop_reason(update)}, {"stop_sequence", text_or_null(update.stop)}}},
                            {"usage", usage(choices)}});
    }

    std::string end(const ChoiceSet&) override { return named_event("message_stop", {{"type", "message_stop"}}); }
    std::string keep_alive() const override { return named_event("ping", {{"type", "ping"}}); }

  private:
    static Json usage(const ChoiceSet& choices) {
        const int64_t n_cached = choices.n_cached_tokens();
        return {{"input_tokens", choices.n_prompt_tokens() - n_cached},
                {"cache_creation_input_tokens", 0},
                {"cache_read_input_tokens", n_cached},
                {"output_tokens", choices.n_completion_tokens()}};
    }

    Json message(const ChoiceSet& choices) const {
        return {{"id", id_},
                {"type", "message"},
                {"role", "assistant"},
                {"model", model_->id},
                {"content", Json::array()},
                {"stop_reason", nullptr},
                {"stop_sequence", nullptr},
                {"usage", usage(choices)}};
    }

    const std::string id_;
    const ModelLease model_;
};

Answer make_messages(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {rules});
    const Json shared = shared_body(fields);
    GenerationFields generation = read_generation_fields(RequestFields(shared, {generation_field_rules()}), *asked.model->engine);
    if (const Json* stops = fields.find("stop_sequences")) generation.request.stop = read_stops(*stops, "stop_sequences", false);
    generation.request.max_tokens = fields.integer("max_tokens").value_or(default_max_tokens);
    ChoiceOrder order{.model = asked.model,
                      .prompts = {tokenize_chat_prompt(*asked.model, read_prompt(fields, *asked.model))},
                      .request = std::move(generation.request),
                      .n_each = 1,
                      .prompt_field = "messages",
                      .metrics = &asked.api.metrics};
    return answer_generation(std::move(order), std::make_unique<MessageWording>(asked.model), generation.stream, asked.wake);
}

Answer make_count(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {rules});
    return json_response({{"input_tokens", tokenize_chat_prompt(*asked.model, read_prompt(fields, *asked.model)).size()}});
}

}  // namespace

std::span<const FieldRule> message_field_rules() { return rules; }

Answer answer_messages(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_messages);
}

Answer count_message_tokens(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_count);
}

}  // namespace quern
